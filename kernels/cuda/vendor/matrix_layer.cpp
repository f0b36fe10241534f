#include "kernels/cuda/vendor/matrix_layer.h"

#include <utility>

#include "kernels/cuda/vendor/bias_gradient.h"
#include "kernels/cuda/vendor/errors.h"
#include "kernels/for_each.h"
#include "kernels/functors/add_bias.h"
#include "kernels/functors/elementwise.h"

namespace winnow::cuda::vendor {
namespace {

MatrixProduct product_of(const LinearShape& s, Direction direction) {
  const cudaDataType_t type = s.dtype == DType::BF16 ? CUDA_R_16BF : CUDA_R_32F;
  switch (direction) {
    case Direction::Forward:
      return {s.out, s.rows, s.in, true,
              false, type,   type, s.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT};
    case Direction::BackwardData:
      return {s.in, s.rows, s.out, false, false, type, type, CUBLASLT_EPILOGUE_DEFAULT};
    case Direction::BackwardWeights:
      break;
  }
  return {s.in, s.out, s.rows,     false,
          true, type,  CUDA_R_32F, s.bias ? CUBLASLT_EPILOGUE_BGRADB : CUBLASLT_EPILOGUE_DEFAULT};
}

}  // namespace

std::unique_ptr<PlannedLayer> MatrixLayer::make(const LinearShape& shape, Direction direction) {
  auto plan = MatrixPlan::make(product_of(shape, direction), describe(shape, direction));
  if (plan == nullptr) return nullptr;
  return std::unique_ptr<PlannedLayer>(new MatrixLayer(shape, direction, std::move(plan)));
}

MatrixLayer::MatrixLayer(const LinearShape& s, Direction direction, std::unique_ptr<MatrixPlan> plan)
    : shape_(s), direction_(direction), plan_(std::move(plan)) {
  const bool with_weights = direction != Direction::BackwardWeights, round = s.dtype == DType::BF16;
  if (round && with_weights) weights_ = scratch_.take(sizeof(bf16) * static_cast<std::size_t>(s.out * s.in));
  if (round && direction == Direction::Forward && plan_->has_epilogue()) {
    bias_ = scratch_.take(sizeof(bf16) * static_cast<std::size_t>(s.out));
  }
  if (!with_weights && s.bias && !plan_->has_epilogue()) partial_ = scratch_.take(bias_gradient_bytes(s.rows, s.out));
  workspace_ = scratch_.take(plan_->workspace_bytes());
}

// f32 values in the type of the activations.
const void* MatrixLayer::rounded(const void* from, std::int64_t count, std::size_t offset, const Exec& exec) const {
  if (shape_.dtype == DType::F32) return from;
  auto* to = reinterpret_cast<bf16*>(ScratchLayout::base(exec) + offset);
  cuda::for_each(exec, count, Cast<float, bf16>{static_cast<const float*>(from), to});
  return to;
}

template <class T>
void MatrixLayer::add_bias(const LayerBuffers& buffers, const Exec& exec) const {
  T* y = static_cast<T*>(buffers.y);
  cuda::for_each(exec, shape_.rows * shape_.out, AddBias<T>{static_cast<const float*>(buffers.bias), y, y, shape_.out});
}

void MatrixLayer::bias_gradient(const LayerBuffers& buffers, const Exec& exec) const {
  const auto sum = shape_.dtype == DType::BF16 ? sum_bias_gradient<bf16> : sum_bias_gradient<float>;
  sum(exec, shape_.rows, shape_.out, buffers.y, buffers.bias, ScratchLayout::base(exec) + partial_);
}

void MatrixLayer::run(const LayerBuffers& buffers, const Exec& exec) {
  const LinearShape& s = shape_;
  void* workspace = ScratchLayout::base(exec) + workspace_;
  const auto product = [&](const MatrixOperands& operands) { plan_->run(operands, workspace, exec.stream); };
  switch (direction_) {
    case Direction::Forward: {
      const void* weights = rounded(buffers.weights, s.out * s.in, weights_, exec);
      const void* bias = plan_->has_epilogue() ? rounded(buffers.bias, s.out, bias_, exec) : nullptr;
      product({weights, buffers.x, buffers.y, const_cast<void*>(bias)});
      if (s.bias && !plan_->has_epilogue()) {
        s.dtype == DType::BF16 ? add_bias<bf16>(buffers, exec) : add_bias<float>(buffers, exec);
      }
      break;
    }
    case Direction::BackwardData:
      product({rounded(buffers.weights, s.out * s.in, weights_, exec), buffers.y, buffers.x, nullptr});
      break;
    case Direction::BackwardWeights:
      product({buffers.x, buffers.y, buffers.weights, buffers.bias});
      if (s.bias && !plan_->has_epilogue()) bias_gradient(buffers, exec);
      break;
  }
}

std::string MatrixLayer::implementation() const { return plan_->has_epilogue() ? "cuBLASLt with bias" : "cuBLASLt"; }

}  // namespace winnow::cuda::vendor
