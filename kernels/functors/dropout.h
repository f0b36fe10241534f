// Dropout of elements. Four elements share one Philox block: element g of the whole batch uses word
// g % 4 of block g / 4, whatever rank holds it. Seed, step and this rank's place in the batch are read
// when the functor runs. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/rng.h"
#include "kernels/run_state.h"

namespace winnow {

// x and y are this rank's n elements, in rows of `row`. Block b of them is the block of the whole
// batch that holds element 4 b - shift(); the first and the last ones may hold elements of other ranks.
template <class T>
struct Dropout {
  const T* x;
  T* y;
  std::int64_t n, row;
  const RunFeed* feed;
  std::uint32_t stream;
  const double* p;  // drop when the draw is below it
  // Set by loaded(): the key of the draws, the position of element 0 in the whole batch, and 1 / (1 - p).
  RngKey key = {};
  std::int64_t first = 0;
  float below = 0, scale = 0;

  WINNOW_HD Dropout loaded() const {
    Dropout now = *this;
    now.key = {feed->seed, stream, feed->step};
    now.first = feed->first_row * row;
    now.below = static_cast<float>(*p);
    now.scale = 1.0f / (1.0f - now.below);
    return now;
  }
  WINNOW_HD std::int64_t shift() const { return first % 4; }
  WINNOW_HD RngBlock draws(std::int64_t block) const {
    return philox(key, static_cast<std::uint64_t>(first / 4 + block));
  }
  WINNOW_HD void element(std::int64_t i, std::uint32_t word) const {
    // A product and no choice, so that NaN and infinity stay, as in PyTorch.
    y[i] = from_float<T>(to_float(x[i]) * (uniform01(word) < below ? 0.0f : scale));
  }
};

// Blocks 1 .. n / 4 - 1, of which every element is this rank's.
template <class T>
struct DropoutInside {
  Dropout<T> batch;
  WINNOW_HD DropoutInside loaded() const { return {batch.loaded()}; }
  static std::int64_t count(std::int64_t n) { return n / 4 > 1 ? n / 4 - 1 : 0; }

  WINNOW_HD void operator()(std::int64_t i) const {
    const RngBlock words = batch.draws(i + 1);
    const std::int64_t at = 4 * (i + 1) - batch.shift();
    for (int j = 0; j < 4; ++j) batch.element(at + j, words.word[j]);
  }
};

// The other blocks, element by element: block 0 and the last two.
template <class T>
struct DropoutEnds {
  Dropout<T> batch;
  WINNOW_HD DropoutEnds loaded() const { return {batch.loaded()}; }
  static constexpr std::int64_t kCount = 12;

  WINNOW_HD void operator()(std::int64_t e) const {
    const std::int64_t last = batch.n / 4 > 1 ? batch.n / 4 : 1;
    const std::int64_t block = e < 4 ? 0 : last + (e - 4) / 4, at = 4 * block - batch.shift() + e % 4;
    if (at >= 0 && at < batch.n) batch.element(at, batch.draws(block).word[e % 4]);
  }
};

// By example: drops it as a whole or scales it up (drop path, stochastic depth).
template <class T>
struct DropExample {
  const T* x;
  T* y;
  std::int64_t cols;
  const RunFeed* feed;
  std::uint32_t stream;
  const double* p;
  WINNOW_HD void operator()(std::int64_t row) const {
    const float below = static_cast<float>(*p);
    const RngKey key{feed->seed, stream, feed->step};
    const bool drops = uniform_at(key, static_cast<std::uint64_t>(feed->first_row + row)) < below;
    const float scale = drops ? 0.0f : 1.0f / (1.0f - below);
    for (std::int64_t i = row * cols; i < (row + 1) * cols; ++i) y[i] = from_float<T>(to_float(x[i]) * scale);
  }
};

}  // namespace winnow
