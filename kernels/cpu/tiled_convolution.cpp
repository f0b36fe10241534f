#include "kernels/cpu/tiled_convolution.h"

#include <algorithm>

#include "kernels/cpu/dot_columns.h"
#include "kernels/cpu/layout.h"
#include "kernels/cpu/pack.h"
#include "kernels/threads.h"

namespace winnow::cpu {

bool TiledConvolution::suits(const ConvShape& s, Direction direction) {
  if (!can_contract(s.dtype) || s.groups != 1) return false;
  if (direction == Direction::Forward) return true;
  return direction == Direction::BackwardData && s.stride == 1 && s.kernel_h == s.kernel_w && s.pad < s.kernel_h &&
         (!in_pairs(s.dtype) || s.kernel_w * s.out % 2 == 0);
}

TiledConvolution::TiledConvolution(const ConvShape& shape, Direction direction, int threads)
    : direction_(direction), threads_(threads), shape_(direction == Direction::Forward ? shape : shape.turned()) {
  const ConvShape& s = shape_;
  const std::int64_t element = size_of(s.dtype), pixel = s.in * element, row = (s.width + 2 * s.pad) * pixel;
  Contraction& c = contraction_;
  c.dtype = c.c_dtype = s.dtype;
  for (std::int64_t y = 0; y < s.out_height(); ++y) {
    for (std::int64_t x = 0; x < s.out_width(); ++x) {
      patches_.push_back(s.stride * (y * row + x * pixel));
    }
  }
  c.m = s.out_height() * s.out_width();
  c.n = s.out;
  c.a_rows = patches_.data();
  c.c_row = s.out * element;
  c.k[0] = {words_of(s.dtype, s.kernel_w * s.in), kWordBytes, 0};
  c.k[1] = {s.kernel_h, row, 0};
  c.packed = true;
  if (c.m >= 8) c.widest = 3;
  c.start = s.bias ? Start::Bias : Start::Zero;
  dots_ = direction == Direction::Forward ? dot_columns_of(c) : 0;
  c.n -= dots_;
}

std::int64_t TiledConvolution::run_elements() const {
  return contraction_.k[0].count * (in_pairs(shape_.dtype) ? 2 : 1);
}
std::size_t TiledConvolution::packed_bytes() const {
  return static_cast<std::size_t>(Panels(contraction_.n, contraction_.widest).bytes(contraction_.depth()));
}
std::size_t TiledConvolution::dots_bytes() const {
  return aligned(static_cast<std::size_t>(dots_ * contraction_.depth() * kWordBytes));
}
std::size_t TiledConvolution::rows_bytes() const {
  return static_cast<std::size_t>(shape_.out * shape_.kernel_h * run_elements()) * sizeof(float);
}
std::size_t TiledConvolution::image_bytes() const {
  const ConvShape& s = shape_;
  const bool crosses = run_elements() != s.kernel_w * s.in;  // the last word reads one element more
  if (s.pad == 0 && !crosses) return 0;
  const PaddedImage image{s.height, s.width, s.in, s.pad};
  return aligned(static_cast<std::size_t>((image.elements() + 1) * size_of(s.dtype)));
}
std::size_t TiledConvolution::scratch_bytes() const {
  return packed_bytes() + dots_bytes() + std::max(rows_bytes(), image_bytes() * static_cast<std::size_t>(threads_));
}

// B's rows are the elements of a patch {kernel_h, kernel_w, in}.
void TiledConvolution::pack_weights(const float* weights, std::byte* packed, float* rows) const {
  const ConvShape& s = shape_;
  const std::int64_t taps = s.kernel_h * s.kernel_w, run = run_elements(), depth = s.kernel_h * run,
                     used = s.kernel_w * s.in;
  const bool forward = direction_ == Direction::Forward;
  if (!forward) {
    turn_weights(s.in, s.out, taps, weights, rows, threads_);
  } else {
    share_loop(threads_, s.out, [&](std::int64_t o) {
      for (std::int64_t i = 0; i < s.kernel_h; ++i) {
        float* to = rows + o * depth + i * run;
        const float* from = weights + o * s.in * taps + i * s.kernel_w;
        for (std::int64_t j = 0; j < s.kernel_w; ++j) {
          for (std::int64_t c = 0; c < s.in; ++c) to[j * s.in + c] = from[c * taps + j];
        }
        std::fill(to + used, to + run, 0.0f);
      }
    });
  }
  const std::int64_t columns = contraction_.n;
  pack_panels(s.dtype, depth, columns, Panels(columns, contraction_.widest), rows,
              forward ? Order::Columns : Order::Rows, packed, threads_);
  if (dots_ == 0) return;
  const float* last = rows + columns * depth;
  std::byte* to = packed + packed_bytes();
  if (in_pairs(s.dtype)) {
    std::transform(last, last + dots_ * depth, reinterpret_cast<bf16*>(to), from_float<bf16>);
  } else {
    std::copy_n(last, dots_ * depth, reinterpret_cast<float*>(to));
  }
}

void TiledConvolution::run(const LayerBuffers& buffers, const Exec& exec) {
  std::byte* scratch = exec.scratch;
  const ConvShape& s = shape_;
  const std::byte* dot_words = scratch + packed_bytes();
  std::byte* rest = scratch + packed_bytes() + dots_bytes();
  pack_weights(static_cast<const float*>(buffers.weights), scratch, reinterpret_cast<float*>(rest));
  const bool forward = direction_ == Direction::Forward;
  const auto* from = static_cast<const std::byte*>(forward ? buffers.x : buffers.y);
  auto* to = static_cast<std::byte*>(forward ? buffers.y : buffers.x);
  const auto* bias = s.bias ? static_cast<const float*>(buffers.bias) : nullptr;
  const PaddedImage image{s.height, s.width, s.in, s.pad};
  const std::int64_t in_bytes = s.height * s.width * s.in * size_of(s.dtype);
  const std::size_t padded_bytes = image_bytes();
  share_out(threads_, s.batch, [&](int thread, std::int64_t begin, std::int64_t end) {
    std::byte* padded = rest + static_cast<std::size_t>(thread) * padded_bytes;
    std::fill_n(padded, padded_bytes, std::byte{});
    for (std::int64_t n = begin; n < end; ++n) {
      const std::byte* a = from + n * in_bytes;
      if (padded_bytes > 0) {
        if (in_pairs(s.dtype)) {
          image.copy(reinterpret_cast<const bf16*>(a), reinterpret_cast<bf16*>(padded));
        } else {
          image.copy(reinterpret_cast<const float*>(a), reinterpret_cast<float*>(padded));
        }
        a = padded;
      }
      std::byte* c = to + n * contraction_.m * contraction_.c_row;
      contract(contraction_, a, scratch, bias, c);
      if (dots_ > 0) {
        dot_columns(contraction_, dots_, a, dot_words, s.bias ? bias + contraction_.n : nullptr,
                    c + contraction_.n * size_of(s.dtype));
      }
    }
  });
}

}  // namespace winnow::cpu
