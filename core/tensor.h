// Memory with a type and a shape. TensorView borrows and is copied freely; Tensor owns one 64-byte
// aligned block of host memory, is move-only and zero at birth. Neither is synchronised.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/shape.h"
#include "kernels/portable.h"

namespace winnow {

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::F32;
  Shape shape;
  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data);
  }
  std::int64_t numel() const { return shape.numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(shape.numel() * size_of(dtype)); }
  template <class T>
  std::span<T> span() const {
    return {as<T>(), static_cast<std::size_t>(numel())};
  }
};

struct FreeDeleter {
  void operator()(std::byte* block) const noexcept;
};
using HostBlock = std::unique_ptr<std::byte[], FreeDeleter>;
HostBlock allocate_host(std::size_t bytes);  // 64-byte aligned, zeroed

class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, const Shape& shape);
  TensorView view() const noexcept { return view_; }
  template <class T>
  std::span<T> span() const {
    return view_.span<T>();
  }
  template <class T>
  T* as() const noexcept {
    return view_.as<T>();
  }
  std::int64_t numel() const { return view_.numel(); }
  Tensor clone() const;

 private:
  HostBlock block_;
  TensorView view_;
};

}  // namespace winnow
