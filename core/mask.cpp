#include "core/mask.h"

namespace winnow {

std::vector<std::uint8_t> Mask::replace(std::vector<std::uint8_t> bits) {
  sent_ = false;
  return std::exchange(bits_, std::move(bits));
}

void Mask::reserve(std::size_t entries) {
  if (stream_ && device_.bytes() != entries) device_ = Memory(stream_, entries);
}

void Mask::send() {
  if (!stream_ || sent_ || bits_.empty()) return;
  reserve(bits_.size());
  stream_->upload(device_.get(), bits_.data(), bits_.size());
  sent_ = true;
}

void* Mask::memory() const {
  if (bits_.empty()) return nullptr;
  return stream_ ? static_cast<void*>(device_.get()) : const_cast<std::uint8_t*>(bits_.data());
}

}  // namespace winnow
