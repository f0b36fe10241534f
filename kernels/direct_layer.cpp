#include "kernels/direct_layer.h"

#include <algorithm>

#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/direct_layer.h"

namespace winnow {
namespace {

// Sums over so few pixels (a linear layer's batch) are one thread's work: there are weights enough to keep all threads busy.
constexpr std::int64_t kFewPixels = 256;

}  // namespace

// Rows are images of one pixel.
DirectLayer::DirectLayer(const LinearShape& shape, Direction direction)
    : DirectLayer(ConvShape{.batch = shape.rows,
                            .height = 1,
                            .width = 1,
                            .in = shape.in,
                            .out = shape.out,
                            .kernel_h = 1,
                            .kernel_w = 1,
                            .stride = 1,
                            .pad = 0,
                            .groups = 1,
                            .dtype = shape.dtype,
                            .bias = shape.bias},
                  direction) {}

// Of the folds of weight and bias gradients, which follow each other.
std::size_t DirectLayer::scratch_bytes() const {
  if (direction_ != Direction::BackwardWeights) return 0;
  const std::int64_t floats = std::max(fold_partials(weights(), pixels()), fold_partials(s_.out, pixels()));
  return sizeof(float) * static_cast<std::size_t>(floats);
}

template <class T>
void DirectLayer::run_as(const LayerBuffers& buffers, const Exec& exec) const {
  auto *x = static_cast<T*>(buffers.x), *y = static_cast<T*>(buffers.y);
  auto *w = static_cast<float*>(buffers.weights), *bias = static_cast<float*>(buffers.bias);
  auto* partial = reinterpret_cast<float*>(exec.scratch);
  const std::int64_t grain = rows_worth(weights() / std::min(s_.in, s_.out));
  switch (direction_) {
    case Direction::Forward:
      for_rows(exec, pixels() * s_.out, DirectForward<T>{s_, x, w, bias, y}, grain);
      break;
    case Direction::BackwardData:
      for_rows(exec, s_.batch * s_.height * s_.width * s_.in, DirectBackwardData<T>{s_, y, w, x}, grain);
      break;
    case Direction::BackwardWeights:
      if (pixels() <= kFewPixels) {
        for_rows(exec, weights(), DirectWeightGradient<T>{{s_, x, y}, pixels(), w}, rows_worth(pixels()));
      } else {
        fold_rows(exec, weights(), pixels(), 0.0f, LoadWeightGradient<T>{s_, x, y}, Sum{}, StoreRow<float>{w}, partial);
      }
      if (bias == nullptr) break;
      fold_rows(exec, s_.out, pixels(), 0.0f, LoadColumn<T>{y, s_.out}, Sum{}, StoreRow<float>{bias}, partial);
      break;
  }
}

void DirectLayer::run(const LayerBuffers& buffers, const Exec& exec) {
  if (s_.dtype == DType::BF16) return run_as<bf16>(buffers, exec);
  run_as<float>(buffers, exec);
}

}  // namespace winnow
