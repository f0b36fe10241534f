#include "kernels/cpu/layers.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/tap_gradient.h"
#include "kernels/cpu/tiled_convolution.h"
#include "kernels/cpu/tiled_input_gradient.h"
#include "kernels/cpu/tiled_linear.h"
#include "kernels/cpu/tiled_weight_gradient.h"
#include "kernels/cpu/widened_layer.h"
#include "kernels/direct_layer.h"
#include "kernels/processor.h"

namespace winnow::cpu {
namespace {

// Vectors are the fastest way to multiply bf16, unless the processor multiplies matrices.
bool vectors_are_fast(DType type) { return type == DType::F32 || !processor_has_amx(); }

// The rules below are measured (tests/bench/ops_bench.cpp, oneDNN 2.6 on Zen 5). oneDNN's kernels
// want channels in sixteens; with other numbers the tiles are faster until layers are so wide that this does not count.
constexpr std::int64_t kWide = 64;
bool odd_channels(const ConvShape& s) { return s.in % 16 != 0 || s.out % 16 != 0; }
bool each_thread_has_images(const ConvShape& s, int threads) { return s.batch >= threads; }

constexpr std::int64_t kMostPatchBytes = 4 << 20, kMostWordBytes = 2 << 20;

std::unique_ptr<PlannedLayer> tiled_input_gradient(const ConvShape& s, int threads) {
  if (!odd_channels(s)) return nullptr;
  // Turned weights would multiply zeros all around an unpadded image; patches do not.
  const bool few_patches = TiledInputGradient::patches_bytes(s) <= kMostPatchBytes;
  if (s.pad == 0 && s.kernel_h * s.kernel_w > 1 && few_patches && TiledInputGradient::suits(s)) {
    return std::make_unique<TiledInputGradient>(s, threads);
  }
  if (s.pad > 0 && s.in < kWide && TiledConvolution::suits(s, Direction::BackwardData)) {
    return std::make_unique<TiledConvolution>(s, Direction::BackwardData, threads);
  }
  return nullptr;
}

// oneDNN's weight gradients reach 70 % of the peak in bf16 and 85 % in f32.
std::unique_ptr<PlannedLayer> tiled_weight_gradient(const ConvShape& s, int threads) {
  const bool narrow = odd_channels(s) && std::min(s.in, s.out) < kWide;
  if (s.dtype == DType::F32 && !narrow) return nullptr;
  if (TiledWeightGradient::image_bytes(s) > kMostWordBytes) return nullptr;
  if (!TiledWeightGradient::suits(s)) return nullptr;
  return std::make_unique<TiledWeightGradient>(s, threads);
}

std::unique_ptr<PlannedLayer> tiled(const ConvShape& s, Direction direction, int threads) {
  if (!each_thread_has_images(s, threads)) return nullptr;
  if (direction == Direction::BackwardData) return tiled_input_gradient(s, threads);
  if (direction == Direction::BackwardWeights) return tiled_weight_gradient(s, threads);
  const bool narrow = odd_channels(s) && s.out < kWide;
  if (!narrow || !TiledConvolution::suits(s, direction)) return nullptr;
  return std::make_unique<TiledConvolution>(s, direction, threads);
}

WidenedLayer::Sizes sizes_of(const LinearShape& s) { return {s.rows * s.in, s.out * s.in, s.rows * s.out}; }
WidenedLayer::Sizes sizes_of(const ConvShape& s) {
  return {s.batch * s.height * s.width * s.in, s.out * (s.in / s.groups) * s.kernel_h * s.kernel_w,
          s.batch * s.out_height() * s.out_width() * s.out};
}

bool must_be_widened(DType type) { return type == DType::BF16 && !processor_computes_bf16(); }

template <class Shape>
std::unique_ptr<PlannedLayer> widened(Shape shape, Direction direction, int threads) {
  shape.dtype = DType::F32;
  return std::make_unique<WidenedLayer>(make_layer(shape, direction, threads), sizes_of(shape), direction, threads);
}

template <class Shape>
std::unique_ptr<PlannedLayer> general_layer(const Shape& s, Direction direction, int threads) {
  return must_be_widened(s.dtype) ? widened(s, direction, threads) : onednn_layer(s, direction, threads);
}

}  // namespace

std::unique_ptr<PlannedLayer> make_layer(const LinearShape& s, Direction direction, int threads) {
  if (vectors_are_fast(s.dtype) && TiledLinear::suits(s, direction)) {
    return std::make_unique<TiledLinear>(s, direction, threads);
  }
  return general_layer(s, direction, threads);
}

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& s, Direction direction, int threads) {
  if (s.padded_in > 0) return std::make_unique<DirectLayer>(s, direction);  // as a library for CUDA wants x
  if (direction == Direction::BackwardWeights && TapGradient::suits(s)) {
    return std::make_unique<TapGradient>(s, threads);
  }
  auto layer = vectors_are_fast(s.dtype) ? tiled(s, direction, threads) : nullptr;
  return layer != nullptr ? std::move(layer) : general_layer(s, direction, threads);
}

std::vector<std::unique_ptr<PlannedLayer>> every_layer(const LinearShape& s, Direction direction, int threads) {
  std::vector<std::unique_ptr<PlannedLayer>> ways;
  ways.push_back(general_layer(s, direction, threads));
  if (TiledLinear::suits(s, direction)) {
    ways.push_back(std::make_unique<TiledLinear>(s, direction, threads));
  }
  return ways;
}

std::vector<std::unique_ptr<PlannedLayer>> every_layer(const ConvShape& s, Direction direction, int threads) {
  std::vector<std::unique_ptr<PlannedLayer>> ways;
  ways.push_back(general_layer(s, direction, threads));
  if (TiledConvolution::suits(s, direction)) {
    ways.push_back(std::make_unique<TiledConvolution>(s, direction, threads));
  }
  if (direction == Direction::BackwardData && TiledInputGradient::suits(s)) {
    ways.push_back(std::make_unique<TiledInputGradient>(s, threads));
  }
  if (direction == Direction::BackwardWeights && TiledWeightGradient::suits(s)) {
    ways.push_back(std::make_unique<TiledWeightGradient>(s, threads));
  }
  if (direction == Direction::BackwardWeights && TapGradient::suits(s)) {
    ways.push_back(std::make_unique<TapGradient>(s, threads));
  }
  return ways;
}

}  // namespace winnow::cpu
