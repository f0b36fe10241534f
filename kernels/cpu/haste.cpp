#include "kernels/cpu/haste.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

constexpr std::int64_t kOutputs = 16;  // output channels that are summed in registers

std::int64_t padded(std::int64_t floats) { return (floats + 15) / 16 * 16; }

// What one thread works in, in floats (codes are as wide as one).
struct Room {
  std::int64_t patch, means, products, codes, order, inputs, filters;
  explicit Room(const HasteShape& s) {
    const ConvShape& c = s.conv;
    patch = padded(s.patch() * c.in);
    means = padded(s.patch());
    products = padded(c.in);
    codes = padded(c.in);
    order = padded(2 * c.in);
    inputs = padded(s.patch() * c.in);
    filters = padded(c.kernel_h * c.kernel_w * c.in * c.out);
  }
  std::int64_t total() const { return patch + means + products + codes + order + inputs + filters; }
};

// One patch after the other, with the weights as {tap, channel in, channel out}.
template <class T>
class Patches {
 public:
  Patches(const HasteShape& shape, const HasteBuffers& buffers, const float* weights, float* memory)
      : s_(shape), c_(shape.conv), buffers_(buffers), weights_(weights) {
    const Room room(shape);
    const auto take = [&](std::int64_t floats) { return std::exchange(memory, memory + floats); };
    patch_ = take(room.patch);
    means_ = take(room.means);
    products_ = take(room.products);
    codes_ = reinterpret_cast<std::uint32_t*>(take(room.codes));
    order_ = reinterpret_cast<std::uint32_t*>(take(room.order));
    bucket_ = order_ + c_.in;
    inputs_ = take(room.inputs);
    filters_ = take(room.filters);
  }

  // Returns how many channels are left.
  std::int64_t run(std::int64_t image, std::int64_t tile_y, std::int64_t tile_x) {
    load(image, tile_y * s_.tile * c_.stride - c_.pad, tile_x * s_.tile * c_.stride - c_.pad);
    if (!hash()) {
      spoil(image, tile_y * s_.tile, tile_x * s_.tile);
      return c_.in;
    }
    const std::int64_t left = group();
    merge(left);
    convolve(left, image, tile_y * s_.tile, tile_x * s_.tile);
    return left;
  }

 private:
  // The patch as {position, channel}; zero outside the image.
  void load(std::int64_t image, std::int64_t top, std::int64_t start) {
    const T* x = static_cast<const T*>(buffers_.x) + image * c_.height * c_.width * c_.in;
    for (std::int64_t i = 0, at = 0; i < s_.patch_h(); ++i) {
      for (std::int64_t j = 0; j < s_.patch_w(); ++j, ++at) {
        const std::int64_t row = top + i, col = start + j;
        float* to = patch_ + at * c_.in;
        if (row < 0 || row >= c_.height || col < 0 || col >= c_.width) {
          std::fill_n(to, c_.in, 0.0f);
          continue;
        }
        const T* from = x + (row * c_.width + col) * c_.in;
        for (std::int64_t c = 0; c < c_.in; ++c) to[c] = to_float(from[c]);
      }
    }
  }

  // Codes of the channels, each less the mean of all. False where infinity or NaN leaves nothing to hash.
  bool hash() {
    for (std::int64_t p = 0; p < s_.patch(); ++p) {
      float sum = 0;
      for (std::int64_t c = 0; c < c_.in; ++c) sum += patch_[p * c_.in + c];
      means_[p] = sum / static_cast<float>(c_.in);
    }
    std::fill_n(codes_, c_.in, 0u);
    for (std::int64_t l = 0; l < s_.bits; ++l) {
      std::fill_n(products_, c_.in, 0.0f);
      for (std::int64_t p = 0; p < s_.patch(); ++p) {
        const float v = buffers_.vectors[l * s_.patch() + p];
        if (v == 0) continue;
        const float mean = means_[p], *values = patch_ + p * c_.in;
#pragma omp simd
        for (std::int64_t c = 0; c < c_.in; ++c) products_[c] += v * (values[c] - mean);
      }
      for (std::int64_t c = 0; c < c_.in; ++c) {
        if (not_finite(products_[c])) return false;
        codes_[c] |= static_cast<std::uint32_t>(products_[c] > 0) << l;
      }
    }
    return true;
  }

  // Numbers the codes that occur, by size. Equal codes, and so equal results, come of equal channels alone.
  std::int64_t group() {
    for (std::int64_t c = 0; c < c_.in; ++c) order_[c] = static_cast<std::uint32_t>(c);
    std::sort(order_, order_ + c_.in,
              [&](std::uint32_t a, std::uint32_t b) { return codes_[a] != codes_[b] ? codes_[a] < codes_[b] : a < b; });
    std::uint32_t last = 0;
    for (std::int64_t i = 0; i < c_.in; ++i) {
      if (i > 0 && codes_[order_[i]] != codes_[order_[i - 1]]) ++last;
      bucket_[order_[i]] = last;
    }
    return last + 1;
  }

  // inputs_ {position, bucket}: means; filters_ {tap, bucket, channel out}: sums.
  void merge(std::int64_t left) {
    for (std::int64_t b = 0; b < left; ++b) products_[b] = 0;
    for (std::int64_t c = 0; c < c_.in; ++c) products_[bucket_[c]] += 1;
    for (std::int64_t p = 0; p < s_.patch(); ++p) {
      float* to = inputs_ + p * left;
      std::fill_n(to, left, 0.0f);
      for (std::int64_t c = 0; c < c_.in; ++c) to[bucket_[c]] += patch_[p * c_.in + c];
      for (std::int64_t b = 0; b < left; ++b) to[b] /= products_[b];
    }
    for (std::int64_t k = 0; k < c_.kernel_h * c_.kernel_w; ++k) {
      float* taps = filters_ + k * left * c_.out;
      std::fill_n(taps, left * c_.out, 0.0f);
      for (std::int64_t c = 0; c < c_.in; ++c) {
        float* to = taps + bucket_[c] * c_.out;
        const float* from = weights_ + (k * c_.in + c) * c_.out;
#pragma omp simd
        for (std::int64_t o = 0; o < c_.out; ++o) to[o] += from[o];
      }
    }
  }

  // visit(row, column in the tile, the channels there) of the tile at (top, start), which the image may cut.
  template <class Visit>
  void each_pixel(std::int64_t image, std::int64_t top, std::int64_t start, const Visit& visit) {
    T* y = static_cast<T*>(buffers_.y) + image * c_.out_height() * c_.out_width() * c_.out;
    const std::int64_t rows = std::min(s_.tile, c_.out_height() - top);
    const std::int64_t cols = std::min(s_.tile, c_.out_width() - start);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) visit(i, j, y + ((top + i) * c_.out_width() + start + j) * c_.out);
    }
  }
  void spoil(std::int64_t image, std::int64_t top, std::int64_t start) {
    each_pixel(image, top, start, [&](std::int64_t, std::int64_t, T* to) {
      std::fill_n(to, c_.out, from_float<T>(std::numeric_limits<float>::quiet_NaN()));
    });
  }
  void convolve(std::int64_t left, std::int64_t image, std::int64_t top, std::int64_t start) {
    each_pixel(image, top, start, [&](std::int64_t i, std::int64_t j, T* to) {
      for (std::int64_t o = 0; o < c_.out; o += kOutputs) pixel(left, i * c_.stride, j * c_.stride, o, to);
    });
  }

  void pixel(std::int64_t left, std::int64_t row, std::int64_t col, std::int64_t first, T* to) const {
    const std::int64_t lanes = std::min(kOutputs, c_.out - first);
    float sum[kOutputs];
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      sum[o] = buffers_.bias != nullptr && o < lanes ? buffers_.bias[first + o] : 0.0f;
    }
    for (std::int64_t ky = 0; ky < c_.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < c_.kernel_w; ++kx) {
        const float* inputs = inputs_ + ((row + ky) * s_.patch_w() + col + kx) * left;
        const float* filters = filters_ + (ky * c_.kernel_w + kx) * left * c_.out + first;
        for (std::int64_t b = 0; b < left; ++b) add(inputs[b], filters + b * c_.out, lanes, sum);
      }
    }
    for (std::int64_t o = 0; o < lanes; ++o) to[first + o] = from_float<T>(sum[o]);
  }
  static void add(float x, const float* filter, std::int64_t lanes, float* sum) {
    if (lanes == kOutputs) {
#pragma omp simd
      for (std::int64_t o = 0; o < kOutputs; ++o) sum[o] += x * filter[o];
    } else {
      for (std::int64_t o = 0; o < lanes; ++o) sum[o] += x * filter[o];
    }
  }

  const HasteShape& s_;
  const ConvShape& c_;
  const HasteBuffers& buffers_;
  const float* weights_;
  float *patch_, *means_, *products_, *inputs_, *filters_;
  std::uint32_t *codes_, *order_, *bucket_;
};

// {out, in, tap} to {tap, in, out}.
void turn(const ConvShape& c, const float* weights, float* turned) {
  const std::int64_t taps = c.kernel_h * c.kernel_w;
  for (std::int64_t o = 0; o < c.out; ++o) {
    for (std::int64_t i = 0; i < c.in; ++i) {
      for (std::int64_t k = 0; k < taps; ++k) turned[(k * c.in + i) * c.out + o] = weights[(o * c.in + i) * taps + k];
    }
  }
}

std::int64_t turned_floats(const HasteShape& s) {
  return padded(s.conv.out * s.conv.in * s.conv.kernel_h * s.conv.kernel_w);
}

template <class T>
void run(const HasteShape& s, const HasteBuffers& buffers, const Exec& exec) {
  auto* memory = reinterpret_cast<float*>(exec.scratch);
  turn(s.conv, buffers.weights, memory);
  auto* left = reinterpret_cast<std::int32_t*>(memory + turned_floats(s));
  const std::int64_t tiles = s.tiles(), across = s.tiles_across(), all = s.conv.batch * tiles;
  float* rooms = memory + turned_floats(s) + padded(all);
  const std::int64_t threads = std::clamp<std::int64_t>(exec.threads, 1, all), each = (all + threads - 1) / threads;
  const std::int64_t room = Room(s).total();
  on_threads(static_cast<int>(threads), [&](int thread) {
    Patches<T> patches(s, buffers, memory, rooms + thread * room);
    for (std::int64_t at = thread * each; at < std::min(all, (thread + 1) * each); ++at) {
      const std::int64_t tile = at % tiles;
      left[at] = static_cast<std::int32_t>(patches.run(at / tiles, tile / across, tile % across));
    }
  });
  for (std::int64_t image = 0; image < s.conv.batch; ++image) {
    std::int64_t sum = 0;
    for (std::int64_t tile = 0; tile < tiles; ++tile) sum += left[image * tiles + tile];
    buffers.merged[image] = static_cast<float>(sum);
  }
}

}  // namespace

std::size_t haste_scratch_bytes(const HasteShape& s, int threads) {
  const std::int64_t floats =
      turned_floats(s) + padded(s.conv.batch * s.tiles()) + std::max(threads, 1) * Room(s).total();
  return static_cast<std::size_t>(floats) * sizeof(float);
}

void haste_convolution(const HasteShape& shape, const HasteBuffers& buffers, const Exec& exec) {
  if (shape.conv.dtype == DType::BF16) return run<bf16>(shape, buffers, exec);
  run<float>(shape, buffers, exec);
}

}  // namespace winnow::cpu
