#include "kernels/cpu/matmul.h"

#include <algorithm>

#include "kernels/cpu/vec.h"
#include "kernels/layer.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

constexpr std::int64_t kTileRows = 4;

std::int64_t up_to(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

// Both operands of one product in f32, the sum's axis first, padded with zeros to whole tiles.
struct MatmulPanels {
  MatmulPanels(const MatmulShape& s, std::byte* memory)
      : a_width(up_to(s.rows, kTileRows)),
        b_width(up_to(s.cols, kLanes)),
        a(reinterpret_cast<float*>(memory)),
        b(a + up_to(a_width * s.inner, kLanes)) {}
  static std::size_t bytes(const MatmulShape& s) {
    const std::int64_t a_size = up_to(up_to(s.rows, kTileRows) * s.inner, kLanes);
    return aligned(sizeof(float) * static_cast<std::size_t>(a_size + up_to(s.cols, kLanes) * s.inner));
  }
  std::int64_t a_width, b_width;
  float *a, *b;
};

// to {inner, width} from {inner, extent}, or from {extent, inner} if transposed.
template <class T>
void pack(const T* from, std::int64_t inner, std::int64_t extent, bool transposed, std::int64_t width, float* to) {
  for (std::int64_t k = 0; k < inner; ++k) {
    float* row = to + k * width;
    const T* first = transposed ? from + k : from + k * extent;
    const std::int64_t step = transposed ? inner : 1;
    for (std::int64_t i = 0; i < extent; ++i) row[i] = to_float(first[i * step]);
    std::fill(row + extent, row + width, 0.0f);
  }
}

template <class T>
void multiply(const MatmulShape& s, const MatmulPanels& panels, T* c) {
  for (std::int64_t row = 0; row < s.rows; row += kTileRows) {
    for (std::int64_t col = 0; col < s.cols; col += kLanes) {
      Vec sum[kTileRows] = {};
      for (std::int64_t k = 0; k < s.inner; ++k) {
        const Vec b = load(panels.b + k * panels.b_width + col);
        const float* a = panels.a + k * panels.a_width + row;
        for (std::int64_t r = 0; r < kTileRows; ++r) sum[r] += splat(a[r]) * b;
      }
      const std::int64_t lanes = std::min(kLanes, s.cols - col);
      for (std::int64_t r = 0; r < std::min(kTileRows, s.rows - row); ++r) {
        store(c + (row + r) * s.cols + col, sum[r] * s.scale, lanes);
      }
    }
  }
}

}  // namespace

std::size_t MatmulShape::scratch_bytes(int threads) const {
  return MatmulPanels::bytes(*this) * static_cast<std::size_t>(threads);
}

template <class T>
void matmul(const MatmulShape& s, const T* a, const T* b, T* c, std::byte* scratch, int threads) {
  share_out(threads, s.count, [&](int thread, std::int64_t begin, std::int64_t end) {
    const MatmulPanels panels(s, scratch + static_cast<std::size_t>(thread) * MatmulPanels::bytes(s));
    for (std::int64_t i = begin; i < end; ++i) {
      pack(a + i * s.rows * s.inner, s.inner, s.rows, !s.transpose_a, panels.a_width, panels.a);
      pack(b + i * s.inner * s.cols, s.inner, s.cols, s.transpose_b, panels.b_width, panels.b);
      multiply(s, panels, c + i * s.rows * s.cols);
    }
  });
}

template void matmul<float>(const MatmulShape&, const float*, const float*, float*, std::byte*, int);
template void matmul<bf16>(const MatmulShape&, const bf16*, const bf16*, bf16*, std::byte*, int);

}  // namespace winnow::cpu
