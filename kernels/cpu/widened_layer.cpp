#include "kernels/cpu/widened_layer.h"

#include <utility>

#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::cpu {
namespace {

std::size_t bytes_of(std::int64_t count) { return aligned(static_cast<std::size_t>(count) * sizeof(float)); }

template <class Body>
void for_all(int threads, std::int64_t n, const Body& body) {
  in_ranges(threads, n, 16384, 64, [&](std::int64_t begin, std::int64_t end) { for_range(begin, end, body); });
}

void widen(int threads, const void* from, float* to, std::int64_t n) {
  for_all(threads, n, Cast<bf16, float>{static_cast<const bf16*>(from), to});
}

void narrow(int threads, const float* from, void* to, std::int64_t n) {
  for_all(threads, n, Cast<float, bf16>{from, static_cast<bf16*>(to)});
}

}  // namespace

WidenedLayer::WidenedLayer(std::unique_ptr<PlannedLayer> layer, const Sizes& sizes, Direction direction, int threads)
    : layer_(std::move(layer)), sizes_(sizes), direction_(direction), threads_(threads) {}

std::size_t WidenedLayer::scratch_bytes() const {
  return bytes_of(sizes_.x) + bytes_of(sizes_.weights) + bytes_of(sizes_.y) + layer_->scratch_bytes();
}

void WidenedLayer::run(const LayerBuffers& buffers, const Exec& exec) {
  std::byte* at = exec.scratch;
  const auto take = [&](std::int64_t count) {
    return reinterpret_cast<float*>(std::exchange(at, at + bytes_of(count)));
  };
  float *x = take(sizes_.x), *weights = take(sizes_.weights), *y = take(sizes_.y);
  const Exec inner = exec.with_scratch(at);
  if (direction_ != Direction::BackwardWeights) {
    const auto* given = static_cast<const float*>(buffers.weights);
    for_all(threads_, sizes_.weights,
            [given, weights](std::int64_t i) { weights[i] = to_float(from_float<bf16>(given[i])); });
  }
  switch (direction_) {
    case Direction::Forward:
      widen(threads_, buffers.x, x, sizes_.x);
      layer_->run({x, weights, buffers.bias, y}, inner);
      narrow(threads_, y, buffers.y, sizes_.y);
      break;
    case Direction::BackwardData:
      widen(threads_, buffers.y, y, sizes_.y);
      layer_->run({x, weights, nullptr, y}, inner);
      narrow(threads_, x, buffers.x, sizes_.x);
      break;
    case Direction::BackwardWeights:
      widen(threads_, buffers.x, x, sizes_.x);
      widen(threads_, buffers.y, y, sizes_.y);
      layer_->run({x, buffers.weights, buffers.bias, y}, inner);
      break;
  }
}

std::string WidenedLayer::implementation() const { return "widened to f32, " + layer_->implementation(); }

}  // namespace winnow::cpu
