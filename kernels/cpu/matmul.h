// Products of many small matrices, as attention needs them: c[b] = scale * op(a[b]) op(b[b]), each of them by one thread,
// so the number of threads changes no bit. Borrows all memory; reentrant.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow::cpu {

struct MatmulShape {
  std::int64_t count, rows, inner, cols;  // c {count, rows, cols}
  bool transpose_a, transpose_b;          // a is {count, inner, rows}, b is {count, cols, inner} in memory
  float scale;
  std::size_t scratch_bytes(int threads) const;
};

// T: float or bf16; sums are f32.
template <class T>
void matmul(const MatmulShape& shape, const T* a, const T* b, T* c, std::byte* scratch, int threads);

}  // namespace winnow::cpu
