// From stored bytes to the network's input: padded crop, mirror and normalisation in one pass over
// an image. Immutable once built, so threads may share one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/batch.h"
#include "kernels/rng.h"

namespace winnow {

// Fixed numbers of a data set, of one channel's pixels scaled to [0, 1].
struct ChannelStatistics {
  double mean = 0.0, deviation = 1.0;
};
using ImageStatistics = std::vector<ChannelStatistics>;  // one for each channel

// What augmentation may do: shift by up to `pad` pixels either way over a black border, and mirror left to right.
struct AugmentRange {
  int pad = 0;
  bool mirror = false;
  bool operator==(const AugmentRange&) const = default;
};

// One choice of it: output (y, x) shows input (y + dy, x + dx), x counted from the right if mirrored.
struct Augmentation {
  int dy = 0, dx = 0;
  bool mirror = false;
  bool operator==(const Augmentation&) const = default;
};

// The choice for the example at `position` of an epoch's order. All values are equally likely.
Augmentation draw_augmentation(const AugmentRange& range, const RngKey& key, std::uint64_t position);

class ImageTransform {
 public:
  // Output = (pixel / 255 - mean) / deviation.
  ImageTransform(const DataShape& shape, const ImageStatistics& statistics);
  // `image` {H, W, C} bytes; `out` {H, W, C}.
  void apply(const std::uint8_t* image, const Augmentation& how, float* out) const;
  // What it multiplies by and adds, for each value of a row.
  std::span<const float> scale() const { return scale_; }
  std::span<const float> shift() const { return shift_; }

 private:
  void convert(const std::uint8_t* row, float* out) const;
  std::int64_t height_, width_, channels_, row_;  // row_ = width * channels
  std::vector<float> scale_, shift_;              // one for each value of a row
};

}  // namespace winnow
