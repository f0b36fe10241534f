// One product of matrices by cuBLASLt, with the algorithm that its heuristics choose for one shape and device. Owns its
// descriptors; borrows operands and workspace. Run by one thread at a time.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace winnow::cuda::vendor {

// D (m x n) = op(A) (m x k) * op(B) (k x n), all column-major and dense. A and B have type `in`, D has `out`; products are
// summed in f32. These types stand together in the table of cuBLAS, "cublasLtMatmul": A and B f32 with D f32, A and B bf16
// with D bf16 or f32.
struct MatrixProduct {
  std::int64_t m, n, k;
  bool turn_a, turn_b;
  cudaDataType_t in, out;
  // BIAS adds a vector of m to every column of D, BGRADB sums op(B) over k to a vector of n. It has the type of D
  // (cublasLt.h, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE).
  cublasLtEpilogue_t epilogue;
};

struct MatrixOperands {
  const void *a, *b;
  void* d;
  void* vector;  // of the epilogue
};

class MatrixPlan {
 public:
  // Null where cuBLASLt has no algorithm. `layer`: for errors.
  static std::unique_ptr<MatrixPlan> make(const MatrixProduct& product, const std::string& layer);

  std::size_t workspace_bytes() const { return workspace_; }
  // False where no algorithm offers the epilogue that was asked for: the caller does its work.
  bool has_epilogue() const { return has_epilogue_; }
  // `workspace` is aligned to 256 bytes.
  void run(const MatrixOperands& operands, void* workspace, void* stream);

 private:
  struct Destroy {
    void operator()(cublasLtMatmulDescOpaque_t* desc) const { cublasLtMatmulDescDestroy(desc); }
    void operator()(cublasLtMatrixLayoutOpaque_t* layout) const { cublasLtMatrixLayoutDestroy(layout); }
    void operator()(cublasLtMatmulPreferenceOpaque_t* preference) const { cublasLtMatmulPreferenceDestroy(preference); }
  };
  using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy>;

  MatrixPlan(const MatrixProduct& product, std::string layer);
  Layout layout(cudaDataType_t type, std::int64_t rows, std::int64_t cols) const;
  void set(cublasLtMatmulDescAttributes_t attribute, const void* value, std::size_t bytes);
  bool choose(cublasLtEpilogue_t epilogue);
  void check(cublasStatus_t status, const char* call) const;

  std::string layer_;
  std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy> desc_;
  Layout a_, b_, d_;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspace_ = 0;
  bool has_epilogue_ = false;
};

}  // namespace winnow::cuda::vendor
