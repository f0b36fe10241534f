#include "kernels/cpu/tiled_input_gradient.h"

#include <algorithm>

#include "kernels/cpu/layout.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/vec.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

// Which taps of a kernel join input position `at` (in the padded image) to positions of dy along
// one axis: `first` and every `stride`th after it, the first of them to `pixel`.
struct Taps {
  std::int64_t first, pixel, count;
  Taps(std::int64_t at, std::int64_t stride, std::int64_t kernel, std::int64_t out)
      : first(std::max(at % stride, at - (out - 1) * stride)),
        pixel((at - first) / stride),
        count((std::min(kernel - 1, at) - first + stride) / stride) {}
};

}  // namespace

bool TiledInputGradient::suits(const ConvShape& s) {
  return can_contract(s.dtype) && s.groups == 1 && (!in_pairs(s.dtype) || s.out % 2 == 0);
}

TiledInputGradient::TiledInputGradient(const ConvShape& s, int threads) : shape_(s), threads_(threads) {
  Contraction& c = contraction_;
  c.dtype = s.dtype;
  c.m = s.out_height() * s.out_width();
  c.n = patch();
  a_rows_ = regular_rows(c.m, s.out * size_of(s.dtype));
  c.a_rows = a_rows_.data();
  c.c_row = c.n * static_cast<std::int64_t>(sizeof(float));
  c.k[0] = {words_of(s.dtype, s.out), kWordBytes, 0};
  c.packed = true;
}

std::size_t TiledInputGradient::packed_bytes() const {
  return static_cast<std::size_t>(Panels(patch()).bytes(contraction_.depth()));
}
std::size_t TiledInputGradient::rows_bytes() const {
  return static_cast<std::size_t>(shape_.out * patch()) * sizeof(float);
}
std::int64_t TiledInputGradient::patches_bytes(const ConvShape& s) {
  return s.out_height() * s.out_width() * s.kernel_h * s.kernel_w * s.in * static_cast<std::int64_t>(sizeof(float));
}
std::size_t TiledInputGradient::scratch_bytes() const {
  return packed_bytes() + std::max(rows_bytes(), static_cast<std::size_t>(threads_) *
                                                     aligned(static_cast<std::size_t>(patches_bytes(shape_))));
}

template <class T>
void TiledInputGradient::gather(const float* patches, T* dx) const {
  const ConvShape& s = shape_;
  // From one tap to the next the pixel of dy goes back by one.
  const std::int64_t next_column = s.stride * s.in - patch(),
                     next_row = s.stride * s.kernel_w * s.in - s.out_width() * patch();
  for (std::int64_t y = 0; y < s.height; ++y) {
    const Taps rows(y + s.pad, s.stride, s.kernel_h, s.out_height());
    for (std::int64_t x = 0; x < s.width; ++x, dx += s.in) {
      const Taps columns(x + s.pad, s.stride, s.kernel_w, s.out_width());
      const float* first = patches + (rows.pixel * s.out_width() + columns.pixel) * patch() +
                           (rows.first * s.kernel_w + columns.first) * s.in;
      for (std::int64_t c = 0; c < s.in; c += kLanes) {
        const std::int64_t lanes = std::min(kLanes, s.in - c);
        Vec sum{};
        const float* row = first + c;
        for (std::int64_t i = 0; i < rows.count; ++i, row += next_row) {
          const float* from = row;
          Vec row_sum{};
          for (std::int64_t j = 0; j < columns.count; ++j, from += next_column) {
            row_sum += load(from, lanes);
          }
          sum += row_sum;
        }
        store(dx + c, sum, lanes);
      }
    }
  }
}

void TiledInputGradient::run(const LayerBuffers& buffers, const Exec& exec) {
  std::byte* scratch = exec.scratch;
  const ConvShape& s = shape_;
  std::byte* rest = scratch + packed_bytes();
  auto* rows = reinterpret_cast<float*>(rest);
  transpose(s.out, s.in, s.kernel_h * s.kernel_w, static_cast<const float*>(buffers.weights), rows, threads_);
  pack_panels(s.dtype, s.out, patch(), Panels(patch()), rows, Order::Rows, scratch, threads_);
  const auto* dy = static_cast<const std::byte*>(buffers.y);
  const std::size_t patches_size = aligned(static_cast<std::size_t>(patches_bytes(s)));
  const std::int64_t image_bytes = contraction_.m * s.out * size_of(s.dtype);
  share_out(threads_, s.batch, [&](int thread, std::int64_t begin, std::int64_t end) {
    auto* patches = reinterpret_cast<float*>(rest + static_cast<std::size_t>(thread) * patches_size);
    for (std::int64_t n = begin; n < end; ++n) {
      contract(contraction_, dy + n * image_bytes, scratch, nullptr, patches);
      const std::int64_t at = n * s.height * s.width * s.in;
      if (in_pairs(s.dtype)) {
        gather(patches, static_cast<bf16*>(buffers.x) + at);
      } else {
        gather(patches, static_cast<float*>(buffers.x) + at);
      }
    }
  });
}

}  // namespace winnow::cpu
