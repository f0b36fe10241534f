// What a convolution by hashing costs, in additions and multiplications, one each. Pure.
#pragma once

#include <cstdint>

namespace winnow {

// One patch of a layer: `patch` places of `channels` input channels, which give tile x tile places of `filters` channels.
struct HastePatch {
  std::int64_t channels, filters, taps, tile, patch, bits;
  double zeros;  // share of zeros in the hash vectors
};

// Centring, hashing, merging inputs, merging filters, and the convolution of the `left` channels that remain (a mean
// over patches need not be whole).
double haste_operations(const HastePatch& patch, double left);
// Of the convolution that it replaces, on the same patch.
double dense_operations(const HastePatch& patch);

}  // namespace winnow
