// A convolution, or the gradient of its input as a convolution of dy with the weights turned by
// half a turn, as one contraction an image: the words of a patch lie in kernel_h runs of kernel_w
// pixels, so patches are read in place. See layer.h.
#pragma once

#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/layer.h"

namespace winnow::cpu {

class TiledConvolution final : public PlannedLayer {
 public:
  // Direction: Forward, or BackwardData with stride 1.
  static bool suits(const ConvShape& shape, Direction direction);

  TiledConvolution(const ConvShape& shape, Direction direction, int threads);
  std::size_t scratch_bytes() const override;
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override { return "tiles"; }

 private:
  void pack_weights(const float* weights, std::byte* packed, float* rows) const;
  std::int64_t run_elements() const;  // of a packed patch row, even in bf16
  std::size_t packed_bytes() const;
  std::size_t dots_bytes() const;   // of the weights of the last columns
  std::size_t rows_bytes() const;   // of the weights in the order of patches
  std::size_t image_bytes() const;  // of a padded image; 0 if none is needed

  Direction direction_;
  int threads_;
  ConvShape shape_;                    // of the convolution that is run
  std::vector<std::int64_t> patches_;  // where each pixel's patch begins
  Contraction contraction_;
  std::int64_t dots_ = 0;  // the last columns of y, which are no part of the contraction
};

}  // namespace winnow::cpu
