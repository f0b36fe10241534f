// A convolution in one direction by cuDNN. See kernels/layer.h for ownership and threads, convolution_plan.h for what cuDNN
// computes. Around it, on the same stream: weights packed from OIHW f32 into KRSC of the activations' type, channels padded
// with zeros where cuDNN's bf16 engines want them in eights and the caller has them otherwise, bias and its gradient.
#pragma once

#include <memory>
#include <string>

#include "kernels/cuda/vendor/convolution_plan.h"
#include "kernels/cuda/vendor/scratch_layout.h"
#include "kernels/functors/pack_weights.h"
#include "kernels/layer.h"

namespace winnow::cuda::vendor {

class ConvolutionLayer final : public PlannedLayer {
 public:
  // Null where cuDNN has no plan, one with sums where the shape wants them.
  static std::unique_ptr<PlannedLayer> make(const ConvShape& shape, Direction direction);

  std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  bool writes_sums() const override { return shape_.sums; }
  std::string implementation() const override { return plan_->name(); }

 private:
  // x or y: rows of channels, as the caller has them and as the plan does. In scratch where these differ.
  struct Activations {
    std::int64_t rows, channels, padded;
    std::size_t offset = 0;
    bool is_padded() const { return padded != channels; }
  };

  ConvolutionLayer(const ConvShape& shape, const ConvShape& padded, Direction direction,
                   std::shared_ptr<ConvolutionPlan> plan);
  template <class T>
  void run_typed(const LayerBuffers& buffers, const Exec& exec) const;
  template <class T>
  void* before(const Activations& operand, void* data, bool is_read, const Exec& exec) const;
  template <class T>
  void after(const Activations& operand, void* data, const void* computed, const Exec& exec) const;
  void unpack_gradient(const void* packed, float* gradient, const Exec& exec) const;

  ConvShape shape_;
  Direction direction_;
  std::shared_ptr<ConvolutionPlan> plan_;
  ScratchLayout scratch_;
  Activations x_, y_;
  WeightExtents weights_;
  bool weights_in_place_;                                     // OIHW f32 is what the plan takes or gives
  std::size_t weights_at_ = 0, partial_ = 0, workspace_ = 0;  // offsets in scratch
};

}  // namespace winnow::cuda::vendor
