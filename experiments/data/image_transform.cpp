#include "experiments/data/image_transform.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"

namespace winnow {
namespace {

constexpr std::int64_t kMostRowBytes = 4096;

// Copies `count` pixels in reverse order; `from` is the leftmost of them.
template <int kChannels>
void copy_mirrored(const std::uint8_t* from, std::int64_t count, std::uint8_t* to) {
  const std::uint8_t* pixel = from + (count - 1) * kChannels;
  for (std::int64_t x = 0; x < count; ++x, pixel -= kChannels, to += kChannels) {
    for (int c = 0; c < kChannels; ++c) to[c] = pixel[c];
  }
}

}  // namespace

Augmentation draw_augmentation(const AugmentRange& range, const RngKey& key, std::uint64_t position) {
  const RngBlock block = philox(key, position);
  const auto offset = [&](std::uint32_t word) {
    const auto choices = 2 * static_cast<std::uint64_t>(range.pad) + 1;
    return static_cast<int>((word * choices) >> 32) - range.pad;
  };
  return {offset(block.word[0]), offset(block.word[1]), range.mirror && (block.word[2] >> 31) != 0};
}

ImageTransform::ImageTransform(const DataShape& shape, const ImageStatistics& statistics)
    : height_(shape.height), width_(shape.width), channels_(shape.channels), row_(shape.width * shape.channels) {
  if (row_ > kMostRowBytes) {
    fail(ErrorKind::Settings, "images of {} values a row are not supported; at most {}", row_, kMostRowBytes);
  }
  for (std::int64_t i = 0; i < row_; ++i) {
    const ChannelStatistics& channel = statistics[static_cast<std::size_t>(i % channels_)];
    scale_.push_back(static_cast<float>(1.0 / (255.0 * channel.deviation)));
    shift_.push_back(static_cast<float>(-channel.mean / channel.deviation));
  }
}

void ImageTransform::convert(const std::uint8_t* row, float* out) const {
  const float* scale = scale_.data();
  const float* shift = shift_.data();
#pragma omp simd
  for (std::int64_t i = 0; i < row_; ++i) out[i] = static_cast<float>(row[i]) * scale[i] + shift[i];
}

void ImageTransform::apply(const std::uint8_t* image, const Augmentation& how, float* out) const {
  if (how == Augmentation{}) {
    for (std::int64_t y = 0; y < height_; ++y) convert(image + y * row_, out + y * row_);
    return;
  }
  // Output columns [first, last) of the unmirrored crop lie inside the image; the rest is black border.
  const std::int64_t first = std::clamp<std::int64_t>(-how.dx, 0, width_);
  const std::int64_t last = std::clamp<std::int64_t>(width_ - how.dx, first, width_);
  const std::int64_t inside = last - first;
  std::array<std::uint8_t, kMostRowBytes> row;
  std::memset(row.data(), 0, static_cast<std::size_t>(row_));
  const std::int64_t left = how.mirror ? width_ - last : first;
  for (std::int64_t y = 0; y < height_; ++y, out += row_) {
    const std::int64_t from_y = y + how.dy;
    if (from_y < 0 || from_y >= height_ || inside == 0) {
      std::copy(shift_.begin(), shift_.end(), out);
      continue;
    }
    const std::uint8_t* from = image + from_y * row_ + (first + how.dx) * channels_;
    std::uint8_t* to = row.data() + left * channels_;
    if (!how.mirror) {
      std::memcpy(to, from, static_cast<std::size_t>(inside * channels_));
    } else if (channels_ == 3) {
      copy_mirrored<3>(from, inside, to);
    } else if (channels_ == 1) {
      copy_mirrored<1>(from, inside, to);
    } else {
      for (std::int64_t x = 0; x < inside; ++x) {
        std::memcpy(to + x * channels_, from + (inside - 1 - x) * channels_, static_cast<std::size_t>(channels_));
      }
    }
    convert(row.data(), out);
  }
}

}  // namespace winnow
