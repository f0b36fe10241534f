#include "kernels/cuda/vendor/convolution_layer.h"

#include <utility>

#include "kernels/cuda/vendor/bias_gradient.h"
#include "kernels/cuda/vendor/convolution_plans.h"
#include "kernels/cuda/vendor/layer_rules.h"
#include "kernels/for_each.h"
#include "kernels/functors/add_bias.h"

namespace winnow::cuda::vendor {
namespace {

std::size_t bytes_of(std::int64_t count, DType type) { return static_cast<std::size_t>(count * size_of(type)); }

}  // namespace

std::unique_ptr<PlannedLayer> ConvolutionLayer::make(const ConvShape& shape, Direction direction) {
  if (shape.sums && (direction != Direction::Forward || !may_write_sums(shape))) return nullptr;
  const ConvShape padded = padded_shape(shape);
  auto plan = convolution_plan(padded, direction);
  if (plan == nullptr) return nullptr;
  return std::unique_ptr<PlannedLayer>(new ConvolutionLayer(shape, padded, direction, std::move(plan)));
}

ConvolutionLayer::ConvolutionLayer(const ConvShape& s, const ConvShape& padded, Direction direction,
                                   std::shared_ptr<ConvolutionPlan> plan)
    : shape_(s),
      direction_(direction),
      plan_(std::move(plan)),
      x_{s.batch * s.height * s.width, s.x_channels(), padded.in},
      y_{s.batch * s.out_height() * s.out_width(), s.out, padded.out},
      weights_{s.out, s.in / s.groups, s.kernel_h * s.kernel_w, padded.out, padded.in / padded.groups} {
  const bool same_order = weights_.taps == 1 || weights_.in == 1;
  weights_in_place_ = plan_->weights_type() == DType::F32 && same_order && weights_.count() == weights_.packed_count();
  for (Activations* operand : {&x_, &y_}) {
    if (operand->is_padded()) operand->offset = scratch_.take(bytes_of(operand->rows * operand->padded, s.dtype));
  }
  if (!weights_in_place_) weights_at_ = scratch_.take(bytes_of(weights_.packed_count(), plan_->weights_type()));
  if (direction == Direction::BackwardWeights && s.bias) partial_ = scratch_.take(bias_gradient_bytes(y_.rows, s.out));
  workspace_ = scratch_.take(plan_->workspace_bytes());
}

// Where the plan reads or writes an operand that the caller has at `data`.
template <class T>
void* ConvolutionLayer::before(const Activations& operand, void* data, bool is_read, const Exec& exec) const {
  if (!operand.is_padded()) return data;
  auto* wide = reinterpret_cast<T*>(ScratchLayout::base(exec) + operand.offset);
  if (is_read) {
    cuda::for_each(exec, operand.rows * operand.padded,
                   FitChannels<T>{static_cast<const T*>(data), wide, operand.channels, operand.padded});
  }
  return wide;
}

template <class T>
void ConvolutionLayer::after(const Activations& operand, void* data, const void* computed, const Exec& exec) const {
  if (!operand.is_padded()) return;
  cuda::for_each(
      exec, operand.rows * operand.channels,
      FitChannels<T>{static_cast<const T*>(computed), static_cast<T*>(data), operand.padded, operand.channels});
}

void ConvolutionLayer::unpack_gradient(const void* packed, float* gradient, const Exec& exec) const {
  if (plan_->weights_type() == DType::BF16) {
    cuda::for_each(exec, weights_.count(), UnpackWeights<bf16>{weights_, static_cast<const bf16*>(packed), gradient});
  } else {
    cuda::for_each(exec, weights_.count(), UnpackWeights<float>{weights_, static_cast<const float*>(packed), gradient});
  }
}

template <class T>
void ConvolutionLayer::run_typed(const LayerBuffers& buffers, const Exec& exec) const {
  std::byte* base = ScratchLayout::base(exec);
  const bool weights_are_read = direction_ != Direction::BackwardWeights;
  void* x = before<T>(x_, buffers.x, direction_ != Direction::BackwardData, exec);
  void* y = before<T>(y_, buffers.y, direction_ != Direction::Forward, exec);
  void* weights = weights_in_place_ ? buffers.weights : base + weights_at_;
  if (!weights_in_place_ && weights_are_read) {
    cuda::for_each(exec, weights_.packed_count(),
                   PackWeights<T>{weights_, static_cast<const float*>(buffers.weights), static_cast<T*>(weights)});
  }
  plan_->run(exec.stream, x, weights, y, base + workspace_, static_cast<float*>(buffers.sums));
  switch (direction_) {
    case Direction::Forward:
      after<T>(y_, buffers.y, y, exec);
      if (shape_.bias) {
        T* out = static_cast<T*>(buffers.y);
        cuda::for_each(exec, y_.rows * shape_.out,
                       AddBias<T>{static_cast<const float*>(buffers.bias), out, out, shape_.out});
      }
      break;
    case Direction::BackwardData:
      after<T>(x_, buffers.x, x, exec);
      break;
    case Direction::BackwardWeights:
      if (!weights_in_place_) unpack_gradient(weights, static_cast<float*>(buffers.weights), exec);
      if (shape_.bias) {
        sum_bias_gradient<T>(exec, y_.rows, shape_.out, buffers.y, buffers.bias, base + partial_);
      }
      break;
  }
}

void ConvolutionLayer::run(const LayerBuffers& buffers, const Exec& exec) {
  if (shape_.dtype == DType::BF16) {
    run_typed<bf16>(buffers, exec);
  } else {
    run_typed<float>(buffers, exec);
  }
}

}  // namespace winnow::cuda::vendor
