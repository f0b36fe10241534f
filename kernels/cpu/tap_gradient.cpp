#include "kernels/cpu/tap_gradient.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/layers.h"
#include "kernels/cpu/layout.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

// Rows {images, pixels} of `pixels` of every image, one pixel of all images after the other.
void gather(std::int64_t images, std::int64_t image_bytes, std::int64_t pixel_bytes,
            const std::vector<std::int64_t>& pixels, const std::byte* from, std::byte* to, int threads) {
  share_loop(threads, images, [&](std::int64_t n) {
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      std::memcpy(to + (static_cast<std::int64_t>(i) * images + n) * pixel_bytes,
                  from + n * image_bytes + pixels[i] * pixel_bytes, static_cast<std::size_t>(pixel_bytes));
    }
  });
}

}  // namespace

bool TapGradient::suits(const ConvShape& s) {
  return s.groups == 1 && !s.bias && s.kernel_h * s.kernel_w > 1 && s.out_height() * s.out_width() <= 16 &&
         s.in >= 128 && s.out >= 128 && s.batch >= 32;
}

TapGradient::TapGradient(const ConvShape& s, int threads) : shape_(s), threads_(threads) {
  for (std::int64_t a = 0; a < s.kernel_h; ++a) {
    for (std::int64_t b = 0; b < s.kernel_w; ++b) {
      Tap tap;
      for (std::int64_t i = 0; i < s.out_height(); ++i) {
        for (std::int64_t j = 0; j < s.out_width(); ++j) {
          const std::int64_t h = i * s.stride - s.pad + a, w = j * s.stride - s.pad + b;
          if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
          tap.x.push_back(h * s.width + w);
          tap.y.push_back(i * s.out_width() + j);
        }
      }
      const auto pairs = static_cast<std::int64_t>(tap.x.size());
      const auto known = std::ranges::find(pairs_, pairs);
      tap.product = static_cast<std::size_t>(known - pairs_.begin());
      if (known == pairs_.end() && pairs > 0) {
        pairs_.push_back(pairs);
        products_.push_back(
            make_layer(LinearShape{pairs * s.batch, s.in, s.out, s.dtype, false}, Direction::BackwardWeights, threads));
      }
      taps_.push_back(std::move(tap));
    }
  }
}

std::size_t TapGradient::bytes(std::int64_t rows, std::int64_t channels) const {
  return aligned(static_cast<std::size_t>(rows * channels * size_of(shape_.dtype)));
}

std::size_t TapGradient::scratch_bytes() const {
  std::size_t products = 0;
  for (const auto& product : products_) products = std::max(products, product->scratch_bytes());
  const std::int64_t rows = shape_.batch * shape_.out_height() * shape_.out_width();
  const auto weights = static_cast<std::size_t>(shape_.in * shape_.out) * taps_.size() * sizeof(float);
  return bytes(rows, shape_.in) + bytes(rows, shape_.out) + aligned(weights) + products;
}

void TapGradient::run(const LayerBuffers& buffers, const Exec& exec) {
  const ConvShape& s = shape_;
  const std::int64_t rows = s.batch * s.out_height() * s.out_width(), width = size_of(s.dtype);
  std::byte* x_rows = exec.scratch;
  std::byte* y_rows = x_rows + bytes(rows, s.in);
  auto* planes = reinterpret_cast<float*>(y_rows + bytes(rows, s.out));
  const std::int64_t plane = s.in * s.out, taps = static_cast<std::int64_t>(taps_.size());
  std::byte* rest =
      reinterpret_cast<std::byte*>(planes) + aligned(static_cast<std::size_t>(plane * taps) * sizeof(float));
  for (std::size_t t = 0; t < taps_.size(); ++t) {
    const Tap& tap = taps_[t];
    float* to = planes + static_cast<std::int64_t>(t) * plane;
    if (tap.x.empty()) {
      std::fill_n(to, plane, 0.0f);
      continue;
    }
    gather(s.batch, s.height * s.width * s.in * width, s.in * width, tap.x, static_cast<const std::byte*>(buffers.x),
           x_rows, threads_);
    gather(s.batch, s.out_height() * s.out_width() * s.out * width, s.out * width, tap.y,
           static_cast<const std::byte*>(buffers.y), y_rows, threads_);
    products_[tap.product]->run({x_rows, to, nullptr, y_rows}, exec.with_scratch(rest));
  }
  transpose(1, taps, plane, planes, static_cast<float*>(buffers.weights), threads_);
}

}  // namespace winnow::cpu
