// Convolution by hashing (HASTE, arXiv 2309.17211), for inference: the output is cut into tiles, and in the patch of the
// input that a tile sees, channels whose hash codes are equal are averaged and their filter slices added up, so that fewer
// channels are multiplied. Borrows all memory; no result depends on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/exec.h"
#include "kernels/functors/haste.h"

namespace winnow::cpu {

struct HasteBuffers {
  const void* x;
  const float *weights, *bias;  // bias may be null
  const float* vectors;         // {bits, patch()}: bit l of a channel is 1 where its product with row l is positive
  void* y;
  float* merged;  // by image: channels that are left, summed over its patches
};

std::size_t haste_scratch_bytes(const HasteShape& shape, int threads);
void haste_convolution(const HasteShape& shape, const HasteBuffers& buffers, const Exec& exec);

}  // namespace winnow::cpu
