// Convolution by hashing (HASTE), step by step: means of the patches, codes of the channels, which channels have one code, and
// the convolution over those that are left, one thread an element of what is written. Sums run in the order of
// kernels/cpu/haste.cpp, so the bits are the same. T, of activations, is float or bf16. Single source for CPU and CUDA; no state.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/functors/image.h"
#include "kernels/layer.h"
#include "kernels/portable.h"

namespace winnow {

struct HasteShape {
  ConvShape conv;
  std::int64_t tile, bits;  // side of a tile of the output; bits of a hash code, at most 32
  WINNOW_HD std::int64_t patch_h() const { return (tile - 1) * conv.stride + conv.kernel_h; }
  WINNOW_HD std::int64_t patch_w() const { return (tile - 1) * conv.stride + conv.kernel_w; }
  WINNOW_HD std::int64_t patch() const { return patch_h() * patch_w(); }
  WINNOW_HD std::int64_t tiles_across() const { return (conv.out_width() + tile - 1) / tile; }
  WINNOW_HD std::int64_t tiles() const {  // of one image
    return (conv.out_height() + tile - 1) / tile * tiles_across();
  }
};

// The patches of the batch, one a tile of the output; zero outside the image.
template <class T>
struct HastePatches {
  HasteShape s;
  const T* x;
  // Index of the pixel at `position` of a patch, or -1 outside the image.
  WINNOW_HD std::int64_t pixel(std::int64_t patch, std::int64_t position) const {
    const ConvShape& c = s.conv;
    const std::int64_t image = patch / s.tiles(), at = patch % s.tiles();
    const std::int64_t row = at / s.tiles_across() * s.tile * c.stride - c.pad + position / s.patch_w();
    const std::int64_t col = at % s.tiles_across() * s.tile * c.stride - c.pad + position % s.patch_w();
    if (row < 0 || row >= c.height || col < 0 || col >= c.width) return -1;
    return (image * c.height + row) * c.width + col;
  }
  WINNOW_HD float value(std::int64_t pixel, std::int64_t channel) const {
    return pixel < 0 ? 0.0f : to_float(x[pixel * s.conv.in + channel]);
  }
};

// By patch and position: the mean over the channels, to {patches, positions}.
template <class T>
struct HasteMean {
  HastePatches<T> patches;
  float* means;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t in = patches.s.conv.in, positions = patches.s.patch();
    const std::int64_t pixel = patches.pixel(i / positions, i % positions);
    float sum = 0;
    for (std::int64_t c = 0; c < in; ++c) sum += patches.value(pixel, c);
    means[i] = sum / static_cast<float>(in);
  }
};

// One channel in one patch. Channels of one code form a list in their order.
struct HasteChannel {
  std::uint32_t code;
  std::int32_t spoiled;         // infinity or NaN left nothing to hash
  std::int32_t previous, next;  // of the same code, or -1
};

// By patch and channel: bit l of the code is 1 where the product with vector l is positive.
template <class T>
struct HasteCode {
  HastePatches<T> patches;
  const float *means, *vectors;
  HasteChannel* channels;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t in = patches.s.conv.in, positions = patches.s.patch(), patch = i / in, channel = i % in;
    std::uint32_t code = 0;
    bool spoiled = false;
    for (std::int64_t l = 0; l < patches.s.bits; ++l) {
      float product = 0;
      for (std::int64_t p = 0; p < positions; ++p) {
        const float v = vectors[l * positions + p];
        if (v == 0) continue;
        product += v * (patches.value(patches.pixel(patch, p), channel) - means[patch * positions + p]);
      }
      spoiled = spoiled || not_finite(product);
      code |= static_cast<std::uint32_t>(product > 0) << l;
    }
    channels[i] = {code, spoiled ? 1 : 0, -1, -1};
  }
};

// By patch and channel: its neighbours of the same code.
struct HasteLink {
  std::int64_t in;
  HasteChannel* channels;
  WINNOW_HD void operator()(std::int64_t i) const {
    HasteChannel* patch = channels + i / in * in;
    const auto own = static_cast<std::int32_t>(i % in);
    std::int32_t previous = own - 1, next = own + 1;
    while (previous >= 0 && patch[previous].code != patch[own].code) --previous;
    while (next < in && patch[next].code != patch[own].code) ++next;
    patch[own].previous = previous;
    patch[own].next = next < in ? next : -1;
  }
};

// By patch and channel: the first channel of each code takes its place among them, by size of the code.
struct HasteOrder {
  std::int64_t in;
  const HasteChannel* channels;
  std::int32_t* order;  // {patches, in}
  WINNOW_HD void operator()(std::int64_t i) const {
    const HasteChannel *patch = channels + i / in * in, &own = channels[i];
    if (own.previous >= 0) return;
    std::int64_t place = 0;
    for (std::int64_t c = 0; c < in; ++c) place += patch[c].previous < 0 && patch[c].code < own.code ? 1 : 0;
    order[i / in * in + place] = static_cast<std::int32_t>(i % in);
  }
};

// By patch: how many channels are left; -1 where there is nothing to hash.
struct HasteLeft {
  std::int64_t in;
  const HasteChannel* channels;
  std::int32_t* left;
  WINNOW_HD void operator()(std::int64_t patch) const {
    std::int32_t count = 0;
    bool spoiled = false;
    for (std::int64_t c = patch * in; c < (patch + 1) * in; ++c) {
      count += channels[c].previous < 0 ? 1 : 0;
      spoiled = spoiled || channels[c].spoiled != 0;
    }
    left[patch] = spoiled ? -1 : count;
  }
};

// Channels left, for a fold over the patches of an image; those of a spoiled patch are all there.
struct LoadHasteLeft {
  const std::int32_t* left;
  std::int64_t tiles;
  std::int32_t in;
  WINNOW_HD std::int32_t operator()(std::int64_t image, std::int64_t tile) const {
    const std::int32_t count = left[image * tiles + tile];
    return count < 0 ? in : count;
  }
};
struct StoreHasteMerged {
  float* merged;
  WINNOW_HD void operator()(std::int64_t image, std::int32_t sum) const { merged[image] = static_cast<float>(sum); }
};

// By element of y: over taps and channels that are left, the mean of the inputs times the sum of the filters.
template <class T>
struct HasteConvolve {
  HastePatches<T> patches;
  const float *weights, *bias;  // bias may be null
  const HasteChannel* channels;
  const std::int32_t *order, *left;
  T* y;
  WINNOW_HD void operator()(std::int64_t i) const {
    const HasteShape& s = patches.s;
    const ConvShape& c = s.conv;
    const ImagePosition at(i, c.out_height(), c.out_width(), c.out);
    const std::int64_t patch = at.n * s.tiles() + at.row / s.tile * s.tiles_across() + at.col / s.tile;
    if (left[patch] < 0) {
      y[i] = from_float<T>(NAN);
      return;
    }
    const std::int64_t taps = c.kernel_h * c.kernel_w;
    const std::int64_t row = at.row % s.tile * c.stride, col = at.col % s.tile * c.stride;
    float sum = bias == nullptr ? 0.0f : bias[at.channel];
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      const std::int64_t position = (row + tap / c.kernel_w) * s.patch_w() + col + tap % c.kernel_w;
      const float* filter = weights + at.channel * c.in * taps + tap;
      for (std::int64_t b = 0; b < left[patch]; ++b) sum += merged(patch, position, b, filter, taps);
    }
    y[i] = from_float<T>(sum);
  }
  WINNOW_HD float merged(std::int64_t patch, std::int64_t position, std::int64_t b, const float* filter,
                         std::int64_t taps) const {
    const std::int64_t in = patches.s.conv.in, pixel = patches.pixel(patch, position);
    const HasteChannel* of_patch = channels + patch * in;
    float inputs = 0, filters = 0, count = 0;
    for (std::int32_t channel = order[patch * in + b]; channel >= 0; channel = of_patch[channel].next) {
      inputs += patches.value(pixel, channel);
      filters += filter[channel * taps];
      count += 1;
    }
    return inputs / count * filters;
  }
};

}  // namespace winnow
