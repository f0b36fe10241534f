// Vendor calls of this folder, all of them. A test without a device replaces these and nothing else.
//   CUDA runtime: cudaGetDevice, cudaGetErrorString (handle_pool.h)
//   cuBLASLt, handles.cpp: cublasLtCreate, cublasLtGetStatusString
//   cuBLASLt, matrix_plan.cpp: cublasLtMatmul, cublasLtMatmulAlgoGetHeuristic, cublasLtMatmulDescCreate,
//     cublasLtMatmulDescDestroy, cublasLtMatmulDescSetAttribute, cublasLtMatmulPreferenceCreate,
//     cublasLtMatmulPreferenceDestroy, cublasLtMatmulPreferenceSetAttribute, cublasLtMatrixLayoutCreate,
//     cublasLtMatrixLayoutDestroy, cublasLtGetStatusString
//   cuDNN, cudnn_handle.cpp: cudnnCreate, cudnnGetErrorString
//   cuDNN, convolution_plan.cpp, which a fake replaces as a whole: cudnn_frontend::graph, cudnnSetStream,
//     cudnnGetErrorString
#include "kernels/cuda/vendor/layers.h"

#include "kernels/cuda/vendor/layer_rules.h"
#include "kernels/cuda/vendor/matrix_layer.h"
#if WINNOW_CUDNN
#include "kernels/cuda/vendor/convolution_layer.h"
#endif

namespace winnow::cuda::vendor {

std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction) {
  return MatrixLayer::make(shape, direction);
}

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& s, Direction direction) {
  if (is_matrix_product(s)) return make_layer(as_matrix_product(s), direction);
#if WINNOW_CUDNN
  return ConvolutionLayer::make(s, direction);
#else
  return nullptr;
#endif
}

}  // namespace winnow::cuda::vendor
