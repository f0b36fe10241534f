#include "kernels/cpu/layout.h"

#include <algorithm>

#include "kernels/for_each.h"
#include "kernels/functors/layout.h"
#include "kernels/threads.h"

namespace winnow::cpu {

void transpose(std::int64_t count, std::int64_t rows, std::int64_t cols, const float* in, float* out, int threads) {
  for_rows({.threads = threads}, count * cols, TransposeRow<float>{in, out, rows, cols}, rows_worth(rows));
}

void turn_weights(std::int64_t rows, std::int64_t cols, std::int64_t taps, const float* in, float* out, int threads) {
  share_loop(threads, rows, [&](std::int64_t r) {
    for (std::int64_t t = 0; t < taps; ++t) {
      const float* from = in + r * cols * taps + t;
      float* to = out + ((taps - 1 - t) * rows + r) * cols;
      for (std::int64_t c = 0; c < cols; ++c) to[c] = from[c * taps];
    }
  });
}

template <class T>
void PaddedImage::copy(const T* image, T* to) const {
  for (std::int64_t y = 0; y < height; ++y) {
    std::copy_n(image + y * width * channels, width * channels, to + (y + pad) * row() + pad * channels);
  }
}
template void PaddedImage::copy(const float*, float*) const;
template void PaddedImage::copy(const bf16*, bf16*) const;

}  // namespace winnow::cpu
