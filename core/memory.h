// One block of memory of the host or of a device, zero at birth. Owns it, and keeps the device's stream open for as long;
// move-only, not synchronised.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/device.h"

namespace winnow {

class Memory {
 public:
  Memory() = default;
  // Without a stream it is the host's, 64-byte aligned.
  Memory(std::shared_ptr<DeviceStream> stream, std::size_t bytes);

  std::byte* get() const noexcept { return block_.get(); }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Release {
    std::shared_ptr<DeviceStream> stream;
    void operator()(std::byte* block) const noexcept;
  };
  std::unique_ptr<std::byte[], Release> block_;
  std::size_t bytes_ = 0;
};

}  // namespace winnow
