// What all vendor layers hold to. Constants only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace winnow::cuda::vendor {

// TF32 rounds the factors of f32 products to 10 bits of mantissa. f32 means f32 here, as on the CPU.
inline constexpr bool kAllowTf32 = false;

// Bytes of workspace a plan may ask for; more opens no better algorithm. 32 MiB is what cuBLAS recommends for Hopper
// (cuBLAS, "cublasSetWorkspace"); cuDNN's gradients of weights keep partial sums in theirs.
inline constexpr std::int64_t kMatrixWorkspace = 32 << 20, kConvolutionWorkspace = 128 << 20;

// Of operands that callers own: an arena aligns to 64, and no kernel of either library loads more at a time.
inline constexpr std::size_t kOperandAlignment = 16;

}  // namespace winnow::cuda::vendor
