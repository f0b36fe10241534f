#include "core/mask.h"

namespace winnow {

std::vector<std::uint8_t> Mask::replace(std::vector<std::uint8_t> bits) {
  sent_ = false;
  return std::exchange(bits_, std::move(bits));
}

void Mask::send() {
  if (!stream_ || sent_ || bits_.empty()) return;
  if (device_.bytes() != bits_.size()) device_ = Memory(stream_, bits_.size());
  stream_->upload(device_.get(), bits_.data(), bits_.size());
  sent_ = true;
}

void* Mask::memory() const {
  if (bits_.empty()) return nullptr;
  return stream_ ? static_cast<void*>(device_.get()) : const_cast<std::uint8_t*>(bits_.data());
}

}  // namespace winnow
