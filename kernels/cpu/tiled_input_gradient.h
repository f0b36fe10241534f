// The input's gradient of a convolution of any stride and padding: dy times the weights gives, for
// every pixel of dy, the gradients of its patch, which are added where the patch lies. For kernels
// that reach well beyond the image's inside, where turning the weights (tiled_convolution.h) would
// multiply mostly zeros. See layer.h.
#pragma once

#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/layer.h"

namespace winnow::cpu {

class TiledInputGradient final : public PlannedLayer {
 public:
  // In bf16 the channels of dy must be even, so that words do not cross pixels.
  static bool suits(const ConvShape& shape);
  static std::int64_t patches_bytes(const ConvShape& shape);  // of one image

  TiledInputGradient(const ConvShape& shape, int threads);
  std::size_t scratch_bytes() const override;
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override { return "patches"; }

 private:
  std::int64_t patch() const { return shape_.kernel_h * shape_.kernel_w * shape_.in; }
  std::size_t packed_bytes() const;
  std::size_t rows_bytes() const;  // of the weights in the order of patches
  template <class T>
  void gather(const float* patches, T* dx) const;

  ConvShape shape_;
  int threads_;
  std::vector<std::int64_t> a_rows_;
  Contraction contraction_;
};

}  // namespace winnow::cpu
