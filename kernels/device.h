// An accelerator as core/ uses it: memory that the host cannot read, and one queue of work that runs in order. Implemented
// in kernels/cuda/; a program that is linked without it has no such device. A DeviceStream is used by one thread at a time.
// Whatever fails throws std::runtime_error with what was asked for; after a fault on the device every later call fails, but
// not after a DeviceMemoryError.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "kernels/exec.h"

namespace winnow {

// Work that was recorded once: the same launches with the same arguments, queued again as a whole.
class Recording {
 public:
  Recording() = default;
  virtual ~Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  virtual void replay() = 0;
};

// Which device it is. The same id is the same device, in whatever process and under whatever number.
struct DeviceIdentity {
  std::string model;  // "NVIDIA H100 80GB HBM3"
  std::string id;
  bool operator==(const DeviceIdentity&) const = default;
};

// Called again and again while the host waits, with the seconds that it has waited by now. What it throws ends the wait.
using Patience = std::function<void(double waited)>;

// The device has not as much memory left as was asked for.
struct DeviceMemoryError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class DeviceStream {
 public:
  DeviceStream() = default;
  virtual ~DeviceStream() = default;
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;

  virtual Device device() const = 0;
  virtual DeviceIdentity identity() const = 0;
  virtual int ordinal() const = 0;             // which of its kind, from 0
  virtual std::size_t free_bytes() const = 0;  // of its memory, now
  virtual void* queue() const = 0;             // Exec::stream of kernels that run on it

  virtual std::byte* allocate(std::size_t bytes) = 0;  // at least 256-byte aligned; what is in it is undefined
  virtual void release(std::byte* memory) noexcept = 0;

  // Copies are part of the queue. The source of an upload may change as soon as the call returns; a download has
  // waited for what it reads.
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void download(void* to, const void* from, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  virtual void zero(void* to, std::size_t bytes) = 0;
  virtual void wait() = 0;  // until all that was queued is done
  // From now on no call waits for this queue without `patience`, for work that other processes may keep from ending. Empty:
  // for as long as it takes.
  virtual void be_patient(Patience patience) = 0;

  // A second queue of the same device.
  virtual std::shared_ptr<DeviceStream> beside() = 0;
  // What is queued from now on starts when all that was queued in `other` is done. Where `other` is being recorded, this
  // queue is recorded with it from here on, until `other` comes after it again.
  virtual void after(DeviceStream& other) = 0;

  // What `queue_work` queues is not run but recorded. It must neither wait nor allocate.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& queue_work) = 0;
};

namespace cuda {
// A new stream on GPU `ordinal`. Weak: null in programs that are linked without the CUDA back end.
[[gnu::weak]] std::shared_ptr<DeviceStream> open_stream(int ordinal);
}  // namespace cuda

}  // namespace winnow
