// Which library computes a layer, and in which shape it is handed over. Pure; without the libraries' headers, since the dry
// device (kernels/cuda/dry_layer.h) follows the same rules.
#pragma once

#include "kernels/layer.h"

namespace winnow::cuda::vendor {

// Where a convolution touches every pixel by itself, NHWC makes it a linear layer with a row a pixel, if that has no zeros behind.
inline bool is_matrix_product(const ConvShape& s) {
  return s.kernel_h == 1 && s.kernel_w == 1 && s.stride == 1 && s.pad == 0 && s.groups == 1 && s.padded_in == 0;
}
inline LinearShape as_matrix_product(const ConvShape& s) {
  return {s.batch * s.height * s.width, s.in, s.out, s.dtype, s.bias};
}

// bf16 goes through tensor cores, whose engines read 16 bytes of channels at a time. f32 without TF32 does not: its engines
// take any number. Groups are tried as they are, since padding would have to go between them.
inline ConvShape padded_shape(ConvShape s) {
  if (s.dtype == DType::BF16 && s.groups == 1) {
    s.in = (s.in + 7) / 8 * 8;
    s.out = (s.out + 7) / 8 * 8;
    s.padded_in = 0;
  }
  return s;
}

// Shapes for which cuDNN is asked to sum y by channel as it writes it. A bias is added behind it, padded channels would have
// sums of their own, and both rows of {2, out} are aligned to 16 bytes.
inline bool may_write_sums(const ConvShape& s) {
  return s.groups == 1 && !s.bias && padded_shape(s).out == s.out && s.out % 4 == 0;
}

}  // namespace winnow::cuda::vendor
