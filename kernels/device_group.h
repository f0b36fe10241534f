// Ranks that have a device each and sum buffers of their devices over all of them. Implemented in kernels/cuda/vendor by NCCL;
// a program without it has no such groups (kernels/gpu_libraries.h). A group is used by one thread, and by all its ranks in the same
// order. It queues and does not wait for other ranks, but where a library connects ranks at their first sum: then with the
// patience that the group was opened with. What is recorded with a group is of no use without it, and must end before it.
//
// Whatever fails throws std::runtime_error. No call here meets other ranks on its way out: the destructor and abort() end what
// is queued without a result.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace winnow {

class DeviceGroup {
 public:
  DeviceGroup() = default;
  virtual ~DeviceGroup() = default;
  DeviceGroup(const DeviceGroup&) = delete;
  DeviceGroup& operator=(const DeviceGroup&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual DeviceStream& stream() = 0;  // a queue for sums, beside that of the computation

  // In place, in the memory of the device, queued on stream(): every rank gets the same bits.
  virtual void all_reduce_sum(float* data, std::size_t count) = 0;

  virtual void check() = 0;  // throws what has gone wrong in the background; never waits
  // Nothing that is queued waits for another rank any more, and nothing can be summed.
  virtual void abort() noexcept = 0;
};

// What opens groups. Both functions are empty where there is no such library.
struct DeviceGroups {
  std::function<std::vector<std::byte>()> new_id;  // by one rank, which tells the others
  // By all ranks of the group, each with the stream of its device, within `patience`.
  std::function<std::unique_ptr<DeviceGroup>(std::span<const std::byte> id, int rank, int size, DeviceStream& stream,
                                             const Patience& patience)>
      open;
};

}  // namespace winnow
