#include "kernels/cpu/tiled_weight_gradient.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/layout.h"
#include "kernels/cpu/pack.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

constexpr std::int64_t kCacheBytes = 512 * 1024;  // of a thread

std::int64_t row_words(const ConvShape& s) { return (s.width + 2 * s.pad) * s.in; }
// Words of one image: in bf16 a word joins a pixel and the next one that the kernel meets.
std::int64_t x_words(const ConvShape& s) { return (s.height + 2 * s.pad) * row_words(s); }
std::int64_t dy_words(const ConvShape& s) { return s.out_height() * words_of(s.dtype, s.out_width()) * s.out; }
// The share of a row of registers that holds columns.
double share(std::int64_t columns) {
  const std::int64_t registers = (columns + Panels::kColumns - 1) / Panels::kColumns;
  return static_cast<double>(columns) / static_cast<double>(registers * Panels::kColumns);
}

}  // namespace

std::int64_t TiledWeightGradient::image_bytes(const ConvShape& s) { return (x_words(s) + dy_words(s)) * kWordBytes; }

bool TiledWeightGradient::suits(const ConvShape& s) { return can_contract(s.dtype) && s.groups == 1; }

std::size_t TiledWeightGradient::row_bytes() const {
  if (!in_pairs(shape_.dtype)) return 0;
  return aligned(static_cast<std::size_t>(row_words(shape_) + shape_.stride * shape_.in) * sizeof(bf16));
}

TiledWeightGradient::TiledWeightGradient(const ConvShape& s, int threads)
    : shape_(s),
      threads_(threads),
      copies_x_(in_pairs(s.dtype) || s.pad > 0),
      copies_dy_(in_pairs(s.dtype)),
      channels_out_(share(s.out) > share(s.kernel_w * s.in)),
      block_(std::clamp(threads * kCacheBytes / image_bytes(s), std::int64_t{1}, s.batch)) {
  const std::int64_t run = s.kernel_w * s.in, word_columns = words_of(s.dtype, s.out_width());
  const std::int64_t x_step = (in_pairs(s.dtype) ? 2 : 1) * s.stride * s.in * kWordBytes,
                     x_row = s.stride * row_words(s) * kWordBytes, dy_row = word_columns * s.out * kWordBytes;
  Contraction& c = contraction_;
  c.dtype = s.dtype;
  c.n = channels_out_ ? s.out : run;
  if (channels_out_) {
    for (std::int64_t i = 0; i < s.kernel_h; ++i) {
      for (std::int64_t j = 0; j < run; ++j) a_rows_.push_back((i * row_words(s) + j) * kWordBytes);
    }
  } else {
    a_rows_ = regular_rows(s.out, kWordBytes);
  }
  c.a_rows = a_rows_.data();
  c.m = static_cast<std::int64_t>(a_rows_.size());
  c.c_row = (channels_out_ ? s.out : s.kernel_h * run) * kWordBytes;
  c.k[0] = {word_columns, s.out * kWordBytes, x_step};
  c.k[1] = {s.out_height(), dy_row, x_row};
  c.k[2] = {block_, dy_words(s) * kWordBytes, x_words(s) * kWordBytes};
  if (channels_out_) {
    for (auto& axis : c.k) std::swap(axis.a, axis.b);
  }
}

std::size_t TiledWeightGradient::scratch_bytes() const {
  const ConvShape& s = shape_;
  const auto weights = static_cast<std::size_t>(s.out * s.in * s.kernel_h * s.kernel_w);
  const auto images = static_cast<std::size_t>(block_);
  const std::size_t words = (copies_x_ ? aligned(images * static_cast<std::size_t>(x_words(s)) * kWordBytes) : 0) +
                            (copies_dy_ ? aligned(images * static_cast<std::size_t>(dy_words(s)) * kWordBytes) : 0) +
                            row_bytes() * static_cast<std::size_t>(threads_);
  const std::size_t sums = s.bias ? column_sums_bytes(s.batch * s.out_height() * s.out_width(), s.out) : 0;
  return 2 * aligned(weights * sizeof(float)) + std::max(words, sums);
}

// `row`: a padded row of x, all zeros once.
void TiledWeightGradient::make_words(const LayerBuffers& buffers, std::int64_t image, std::uint32_t* x,
                                     std::uint32_t* dy, bf16* row) const {
  const ConvShape& s = shape_;
  const PaddedImage padded{s.height, s.width, s.in, s.pad};
  const std::int64_t pixels = s.height * s.width;
  if (!in_pairs(s.dtype)) {
    if (copies_x_) {
      padded.copy(static_cast<const float*>(buffers.x) + image * pixels * s.in, reinterpret_cast<float*>(x));
    }
    return;
  }
  const auto* from = static_cast<const bf16*>(buffers.x) + image * pixels * s.in;
  for (std::int64_t i = 0; i < s.height; ++i) {
    std::copy_n(from + i * s.width * s.in, s.width * s.in, row + s.pad * s.in);
    pair_rows(1, row_words(s), row, row + s.stride * s.in, x + (i + s.pad) * row_words(s));
  }
  const std::int64_t width = s.out_width(), columns = words_of(s.dtype, width);
  const auto* gradient = static_cast<const bf16*>(buffers.y) + image * s.out_height() * width * s.out;
  for (std::int64_t i = 0; i < s.out_height(); ++i) {
    const bf16* low = gradient + i * width * s.out;
    std::uint32_t* to = dy + i * columns * s.out;
    pair_rows(width / 2, s.out, low, low + s.out, to);
    if (width % 2 != 0) {
      pair_rows(1, s.out, low + (width - 1) * s.out, nullptr, to + width / 2 * s.out);
    }
  }
}

void TiledWeightGradient::run(const LayerBuffers& buffers, const Exec& exec) {
  std::byte* scratch = exec.scratch;
  const ConvShape& s = shape_;
  const std::int64_t run = s.kernel_w * s.in, pixels = s.out_height() * s.out_width();
  const std::size_t weight_bytes = aligned(static_cast<std::size_t>(s.out * s.kernel_h * run) * sizeof(float));
  auto* sums = reinterpret_cast<float*>(scratch);
  std::byte* rest = scratch + 2 * weight_bytes;
  auto* x_copy = reinterpret_cast<std::uint32_t*>(rest);
  const std::size_t x_bytes = copies_x_ ? aligned(static_cast<std::size_t>(block_ * x_words(s) * kWordBytes)) : 0;
  auto* dy_copy = reinterpret_cast<std::uint32_t*>(rest + x_bytes);
  std::byte* rows =
      rest + x_bytes + (copies_dy_ ? aligned(static_cast<std::size_t>(block_ * dy_words(s) * kWordBytes)) : 0);
  std::fill_n(rest, x_bytes, std::byte{});
  std::fill_n(rows, row_bytes() * static_cast<std::size_t>(threads_), std::byte{});
  const std::int64_t kernel_rows = channels_out_ ? 1 : s.kernel_h;  // or all of them at once
  const std::int64_t part = (contraction_.m + threads_ - 1) / threads_;
  const std::int64_t parts = (contraction_.m + part - 1) / part;
  for (std::int64_t first = 0; first < s.batch; first += block_) {
    const std::int64_t images = std::min(block_, s.batch - first);
    if (copies_x_ || copies_dy_) {
      share_out(threads_, images, [&](int thread, std::int64_t begin, std::int64_t end) {
        auto* row = reinterpret_cast<bf16*>(rows + static_cast<std::size_t>(thread) * row_bytes());
        for (std::int64_t i = begin; i < end; ++i) {
          make_words(buffers, first + i, x_copy + i * x_words(s), dy_copy + i * dy_words(s), row);
        }
      });
    }
    const auto* x = copies_x_ ? x_copy : static_cast<const std::uint32_t*>(buffers.x) + first * x_words(s);
    const auto* dy = copies_dy_ ? dy_copy : static_cast<const std::uint32_t*>(buffers.y) + first * dy_words(s);
    share_loop(threads_, kernel_rows * parts, [&](std::int64_t at) {
      const std::int64_t i = at / parts, from = at % parts * part;
      Contraction c = contraction_;
      c.k[2].count = images;
      c.start = first == 0 ? Start::Zero : Start::Accumulate;
      c.m = std::min(part, contraction_.m - from);
      c.a_rows = contraction_.a_rows + from;
      const std::uint32_t* x_row = x + i * row_words(s);
      float* to = sums + i * run + from * c.c_row / kWordBytes;
      contract(c, channels_out_ ? x_row : dy, channels_out_ ? dy : x_row, nullptr, to);
    });
  }
  arrange(sums, sums + weight_bytes / sizeof(float), static_cast<float*>(buffers.weights));
  if (!s.bias) return;
  column_sums(s.dtype, s.batch * pixels, s.out, buffers.y, static_cast<float*>(buffers.bias), rest, threads_);
}

// From {out, kernel_h, kernel_w, in} or {kernel_h, kernel_w, in, out} to {out, in, kernel_h, kernel_w}.
void TiledWeightGradient::arrange(const float* sums, float* spare, float* weights) const {
  const ConvShape& s = shape_;
  const std::int64_t taps = s.kernel_h * s.kernel_w;
  if (channels_out_) {
    float* to = s.in == 1 ? weights : spare;
    transpose(1, taps * s.in, s.out, sums, to, threads_);
    if (s.in == 1) return;
    sums = spare;
  }
  transpose(s.out, taps, s.in, sums, weights, threads_);
}

}  // namespace winnow::cpu
