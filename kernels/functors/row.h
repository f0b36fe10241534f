// What functors that work on a row at a time share. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// Folds term(0) .. term(n-1) in eight lanes, then the lanes by halving: an order fixed by n alone.
template <class Term, class Fold>
WINNOW_HD float fold_row(std::int64_t n, float zero, const Term& term, const Fold& fold) {
  float lane[8];
  for (float& each : lane) each = zero;
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int l = 0; l < 8; ++l) lane[l] = fold(lane[l], term(i + l));
  }
  for (int l = 0; i < n; ++l, ++i) lane[l] = fold(lane[l], term(i));
  for (int half = 4; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] = fold(lane[l], lane[l + half]);
  }
  return lane[0];
}

template <class Term>
WINNOW_HD float sum_row(std::int64_t n, const Term& term) {
  return fold_row(n, 0.0f, term, [](float a, float b) { return a + b; });
}

}  // namespace winnow
