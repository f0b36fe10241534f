// A mask of one byte an entry (0 or 1), or none. The host's bytes are the authority; a device has a copy, which is brought
// up to date before it computes and stays at one address, since recorded programs read it there. Owns both; move-only, not
// synchronised.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/memory.h"

namespace winnow {

class Mask {
 public:
  explicit Mask(std::shared_ptr<DeviceStream> stream = nullptr) : stream_(std::move(stream)) {}

  std::span<const std::uint8_t> bits() const { return bits_; }  // empty: no mask
  bool at(std::size_t i) const { return bits_.empty() || bits_[i] != 0; }
  std::vector<std::uint8_t> replace(std::vector<std::uint8_t> bits);  // gives what was there

  void reserve(std::size_t entries);  // takes the device's memory of such a mask
  void send();                        // the device has what is here
  void* memory() const;               // for programs, which do not write it; null: no mask

 private:
  std::shared_ptr<DeviceStream> stream_;
  std::vector<std::uint8_t> bits_;
  Memory device_;
  bool sent_ = false;
};

}  // namespace winnow
