// Neighbouring elements of an array in one access. Single source for CPU and CUDA; no state.
#pragma once

#include "kernels/portable.h"

namespace winnow {

// They lie at a multiple of their size: at a multiple of `width` from the start of an array that is aligned so.
template <int width, class T>
struct alignas(sizeof(T) * width) VectorOf {
  T element[width];
};

template <int width, class T>
WINNOW_HD VectorOf<width, T> load_vector(const T* at) {
  return *reinterpret_cast<const VectorOf<width, T>*>(at);
}
template <int width, class T>
WINNOW_HD void store_vector(T* at, const VectorOf<width, T>& vector) {
  *reinterpret_cast<VectorOf<width, T>*>(at) = vector;
}

}  // namespace winnow
