// Where the temporary operands of a layer lie in exec.scratch, one after another. A layer fills it when it is made; after
// that it does not change, and any thread may read it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/exec.h"

namespace winnow::cuda::vendor {

class ScratchLayout {
 public:
  // cublasLtMatmul wants its workspace aligned to 256 bytes (cuBLAS, "cublasLtMatmul", parameter workspace).
  static constexpr std::size_t kAlign = 256;

  // The offset of an operand of this size.
  std::size_t take(std::size_t bytes) {
    const std::size_t at = used_;
    used_ += (bytes + kAlign - 1) / kAlign * kAlign;
    return at;
  }
  // What to ask for: exec.scratch itself is aligned to 64 bytes only.
  std::size_t bytes() const { return used_ == 0 ? 0 : used_ + kAlign - 64; }
  // Where offsets count from. Both libraries and kernels see the same address, so it is rounded as a number.
  static std::byte* base(const Exec& exec) {
    const auto address = reinterpret_cast<std::uintptr_t>(exec.scratch);
    return exec.scratch + (kAlign - address % kAlign) % kAlign;
  }

 private:
  std::size_t used_ = 0;
};

}  // namespace winnow::cuda::vendor
