#include "kernels/cuda/vendor/matrix_plan.h"

#include <array>
#include <utility>

#include "kernels/cuda/vendor/errors.h"
#include "kernels/cuda/vendor/handles.h"
#include "kernels/cuda/vendor/settings.h"

namespace winnow::cuda::vendor {
namespace {

constexpr cublasComputeType_t kCompute = kAllowTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;

}  // namespace

void MatrixPlan::check(cublasStatus_t status, const char* call) const {
  if (status != CUBLAS_STATUS_SUCCESS) fail(call, cublasLtGetStatusString(status), layer_);
}

MatrixPlan::Layout MatrixPlan::layout(cudaDataType_t type, std::int64_t rows, std::int64_t cols) const {
  cublasLtMatrixLayout_t made = nullptr;
  check(
      cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols), rows),
      "cublasLtMatrixLayoutCreate");
  return Layout(made);
}

void MatrixPlan::set(cublasLtMatmulDescAttributes_t attribute, const void* value, std::size_t bytes) {
  check(cublasLtMatmulDescSetAttribute(desc_.get(), attribute, value, bytes), "cublasLtMatmulDescSetAttribute");
}

MatrixPlan::MatrixPlan(const MatrixProduct& p, std::string layer) : layer_(std::move(layer)) {
  cublasLtMatmulDesc_t made = nullptr;
  check(cublasLtMatmulDescCreate(&made, kCompute, CUDA_R_32F), "cublasLtMatmulDescCreate");
  desc_.reset(made);
  const cublasOperation_t turn_a = p.turn_a ? CUBLAS_OP_T : CUBLAS_OP_N, turn_b = p.turn_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  set(CUBLASLT_MATMUL_DESC_TRANSA, &turn_a, sizeof turn_a);
  set(CUBLASLT_MATMUL_DESC_TRANSB, &turn_b, sizeof turn_b);
  a_ = p.turn_a ? layout(p.in, p.k, p.m) : layout(p.in, p.m, p.k);
  b_ = p.turn_b ? layout(p.in, p.n, p.k) : layout(p.in, p.k, p.n);
  d_ = layout(p.out, p.m, p.n);
}

// Leaves the descriptor with this epilogue. False if there is no algorithm.
bool MatrixPlan::choose(cublasLtEpilogue_t epilogue) {
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
  // Heuristics look at the pointer's alignment, and nothing is read through it. An epilogue with a vector needs one, and the
  // default allows none: null also takes back what an epilogue was tried with before.
  const std::uintptr_t address = epilogue == CUBLASLT_EPILOGUE_DEFAULT ? 0 : kOperandAlignment;
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &address, sizeof address);
  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, Destroy> preference(made);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kMatrixWorkspace});
  // Of the ways to add up a product whose k is split, only the one that keeps partial sums in f32 and adds them in a step
  // of its own: the same bits each time, and nothing is rounded to bf16 on the way.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  for (const auto operand : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    prefer(operand, std::uint32_t{kOperandAlignment});
  }

  std::array<cublasLtMatmulHeuristicResult_t, 8> found{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(cublaslt_handle(), desc_.get(), a_.get(), b_.get(), d_.get(), d_.get(),
                                     preference.get(), static_cast<int>(found.size()), found.data(), &count);
  // An epilogue that does not go with these types may be an invalid value; without one everything here is valid.
  const bool none = status == CUBLAS_STATUS_NOT_SUPPORTED ||
                    (status == CUBLAS_STATUS_INVALID_VALUE && epilogue != CUBLASLT_EPILOGUE_DEFAULT);
  if (none) return false;
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  for (int i = 0; i < count; ++i) {  // the fastest first
    const cublasLtMatmulHeuristicResult_t& one = found[static_cast<std::size_t>(i)];
    if (one.state != CUBLAS_STATUS_SUCCESS || one.workspaceSize > std::size_t{kMatrixWorkspace}) continue;
    algorithm_ = one.algo;
    workspace_ = one.workspaceSize;
    has_epilogue_ = epilogue != CUBLASLT_EPILOGUE_DEFAULT;
    return true;
  }
  return false;
}

std::unique_ptr<MatrixPlan> MatrixPlan::make(const MatrixProduct& product, const std::string& layer) {
  std::unique_ptr<MatrixPlan> plan(new MatrixPlan(product, layer));
  if (plan->choose(product.epilogue)) return plan;
  if (product.epilogue != CUBLASLT_EPILOGUE_DEFAULT && plan->choose(CUBLASLT_EPILOGUE_DEFAULT)) return plan;
  return nullptr;
}

void MatrixPlan::run(const MatrixOperands& operands, void* workspace, void* stream) {
  if (has_epilogue_) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &operands.vector, sizeof operands.vector);
  // Read by the host in the call itself (CUBLASLT_POINTER_MODE_HOST, the default), so a captured run keeps their values.
  const float one = 1, zero = 0;
  check(cublasLtMatmul(cublaslt_handle(), desc_.get(), &one, operands.a, a_.get(), operands.b, b_.get(), &zero,
                       operands.d, d_.get(), operands.d, d_.get(), &algorithm_, workspace, workspace_,
                       static_cast<cudaStream_t>(stream)),
        "cublasLtMatmul");
}

}  // namespace winnow::cuda::vendor
