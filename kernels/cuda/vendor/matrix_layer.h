// A linear layer in one direction by cuBLASLt. See kernels/layer.h for ownership and threads, matrix_plan.h for the product.
//
// Row-major matrices are column-major ones turned, so with x {rows, in}, weights {out, in}, y {rows, out} in memory:
//   Forward          y^T  (out x rows) = weights * x^T    A weights, turned   B x            epilogue: bias
//   BackwardData     dx^T (in x rows)  = weights^T * dy^T  A weights           B dy
//   BackwardWeights  dw^T (in x out)   = x^T * dy          A x                 B dy, turned   epilogue: bias gradient
// In bf16 weights and bias are rounded to copies in scratch first: both factors of a product have one type, and a bias has
// that of y. Gradients of weights and bias are f32 throughout.
#pragma once

#include <memory>
#include <string>

#include "kernels/cuda/vendor/matrix_plan.h"
#include "kernels/cuda/vendor/scratch_layout.h"
#include "kernels/layer.h"

namespace winnow::cuda::vendor {

class MatrixLayer final : public PlannedLayer {
 public:
  // Null where cuBLASLt has no algorithm.
  static std::unique_ptr<PlannedLayer> make(const LinearShape& shape, Direction direction);

  std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override;

 private:
  MatrixLayer(const LinearShape& shape, Direction direction, std::unique_ptr<MatrixPlan> plan);
  const void* rounded(const void* from, std::int64_t count, std::size_t offset, const Exec& exec) const;
  template <class T>
  void add_bias(const LayerBuffers& buffers, const Exec& exec) const;
  void bias_gradient(const LayerBuffers& buffers, const Exec& exec) const;

  LinearShape shape_;
  Direction direction_;
  std::unique_ptr<MatrixPlan> plan_;
  ScratchLayout scratch_;
  std::size_t weights_ = 0, bias_ = 0, partial_ = 0, workspace_ = 0;  // offsets in scratch
};

}  // namespace winnow::cuda::vendor
