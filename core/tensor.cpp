#include "core/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace winnow {

void FreeDeleter::operator()(std::byte* block) const noexcept { std::free(block); }

HostBlock allocate_host(std::size_t bytes) {
  constexpr std::size_t kAlign = 64;
  const std::size_t rounded = (bytes + kAlign - 1) / kAlign * kAlign;
  auto* block = static_cast<std::byte*>(std::aligned_alloc(kAlign, rounded == 0 ? kAlign : rounded));
  if (block == nullptr) throw std::bad_alloc();
  std::memset(block, 0, rounded);
  return HostBlock(block);
}

Tensor::Tensor(DType dtype, const Shape& shape) : view_{nullptr, dtype, shape} {
  block_ = allocate_host(view_.bytes());
  view_.data = block_.get();
}

Tensor Tensor::clone() const {
  Tensor copy(view_.dtype, view_.shape);
  std::memcpy(copy.view_.data, view_.data, view_.bytes());
  return copy;
}

}  // namespace winnow
