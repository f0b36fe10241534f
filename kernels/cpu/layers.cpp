#include "kernels/cpu/layers.h"

#include <utility>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/tap_gradient.h"
#include "kernels/cpu/tiled_convolution.h"
#include "kernels/cpu/tiled_input_gradient.h"
#include "kernels/cpu/tiled_linear.h"
#include "kernels/cpu/tiled_weight_gradient.h"

namespace winnow::cpu {
namespace {

// Vectors are the fastest way to multiply bf16, unless the processor multiplies matrices.
bool vectors_are_fast(DType type) { return type == DType::F32 || !processor_has_amx(); }

// oneDNN's kernels want channels in sixteens and lose half their speed without
// (tests/bench/ops_bench.cpp).
bool odd_channels(const ConvShape& s) { return s.in % 16 != 0 || s.out % 16 != 0; }

// Turning the weights multiplies zeros all around the image; adding patches does not.
bool patches_are_faster(const ConvShape& s) {
  return s.pad == 0 && s.kernel_h * s.kernel_w > 1 && odd_channels(s);
}

std::unique_ptr<Layer> tiled(const ConvShape& s, Direction direction, int threads) {
  switch (direction) {
    case Direction::Forward:
      if (!odd_channels(s) || !TiledConvolution::suits(s, direction)) return nullptr;
      return std::make_unique<TiledConvolution>(s, direction, threads);
    case Direction::BackwardData:
      if (!patches_are_faster(s) || !TiledInputGradient::suits(s)) return nullptr;
      return std::make_unique<TiledInputGradient>(s, threads);
    default:
      // oneDNN's weight gradients reach 70 % of the peak in bf16 and 85 % in f32.
      if ((s.dtype == DType::F32 && !odd_channels(s)) || !TiledWeightGradient::suits(s)) {
        return nullptr;
      }
      return std::make_unique<TiledWeightGradient>(s, threads);
  }
}

}  // namespace

std::unique_ptr<Layer> make_layer(const LinearShape& s, Direction direction, int threads) {
  if (vectors_are_fast(s.dtype) && TiledLinear::suits(s, direction)) {
    return std::make_unique<TiledLinear>(s, direction, threads);
  }
  return onednn_layer(s, direction, threads);
}

std::unique_ptr<Layer> make_layer(const ConvShape& s, Direction direction, int threads) {
  if (direction == Direction::BackwardWeights && TapGradient::suits(s)) {
    return std::make_unique<TapGradient>(s, threads);
  }
  auto layer = vectors_are_fast(s.dtype) ? tiled(s, direction, threads) : nullptr;
  return layer != nullptr ? std::move(layer) : onednn_layer(s, direction, threads);
}

std::vector<std::unique_ptr<Layer>> every_layer(const LinearShape& s, Direction direction,
                                                int threads) {
  std::vector<std::unique_ptr<Layer>> ways;
  ways.push_back(onednn_layer(s, direction, threads));
  if (TiledLinear::suits(s, direction)) {
    ways.push_back(std::make_unique<TiledLinear>(s, direction, threads));
  }
  return ways;
}

std::vector<std::unique_ptr<Layer>> every_layer(const ConvShape& s, Direction direction,
                                                int threads) {
  std::vector<std::unique_ptr<Layer>> ways;
  ways.push_back(onednn_layer(s, direction, threads));
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
