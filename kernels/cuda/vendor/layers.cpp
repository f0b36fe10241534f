// Vendor calls of this folder, all of them. A test without a device replaces these and nothing else.
//   CUDA runtime: cudaGetDevice, cudaGetErrorString (handle_pool.h)
//   cuBLASLt, handles.cpp: cublasLtCreate, cublasLtGetStatusString
//   cuBLASLt, matrix_plan.cpp: cublasLtMatmul, cublasLtMatmulAlgoGetHeuristic, cublasLtMatmulDescCreate,
//     cublasLtMatmulDescDestroy, cublasLtMatmulDescSetAttribute, cublasLtMatmulPreferenceCreate,
//     cublasLtMatmulPreferenceDestroy, cublasLtMatmulPreferenceSetAttribute, cublasLtMatrixLayoutCreate,
//     cublasLtMatrixLayoutDestroy, cublasLtGetStatusString
//   cuDNN, cudnn_handle.cpp: cudnnCreate, cudnnGetErrorString
//   cuDNN, convolution_plan.cpp, which a fake replaces as a whole: cudnn_frontend::graph, cudnnSetStream,
//     cudnnGetErrorString, cudnnGetVersion, cudaGetDeviceProperties
#include "kernels/cuda/vendor/layers.h"

#include <iostream>
#include <mutex>
#include <set>
#include <string>

#include "kernels/cuda/vendor/errors.h"
#include "kernels/cuda/vendor/layer_rules.h"
#include "kernels/cuda/vendor/matrix_layer.h"
#if WINNOW_CUDNN
#include "kernels/cuda/vendor/convolution_layer.h"
#endif

namespace winnow::cuda::vendor {
namespace {

// Says so once for each shape of a process, and not without end: sweeps that remove channels meet ever new ones.
void note_no_way(const std::string& layer, const char* library) {
  constexpr std::size_t kMostNotes = 20;
  static auto* const noted = new std::set<std::string>;  // never deleted, as the handles in handle_pool.h
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (noted->size() > kMostNotes || !noted->insert(layer).second) return;
  const bool last = noted->size() > kMostNotes;
  std::cerr << (last ? std::string("note other layers, too, are computed by their definition, slowly\n")
                     : "note " + layer + ": " + library + " has no way, computed by its definition, slowly\n")
            << std::flush;
}

template <class Shape>
std::unique_ptr<PlannedLayer> or_note(std::unique_ptr<PlannedLayer> layer, const Shape& shape, Direction direction,
                                      const char* library) {
  if (layer == nullptr) note_no_way(describe(shape, direction), library);
  return layer;
}

#if WINNOW_CUDNN
constexpr const char* kConvolutions = "cuDNN";
std::unique_ptr<PlannedLayer> convolution_by_cudnn(const ConvShape& shape, Direction direction) {
  return ConvolutionLayer::make(shape, direction);
}
#else
constexpr const char* kConvolutions = "this build without cuDNN";
std::unique_ptr<PlannedLayer> convolution_by_cudnn(const ConvShape&, Direction) { return nullptr; }
#endif

}  // namespace

std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction) {
  return or_note(MatrixLayer::make(shape, direction), shape, direction, "cuBLASLt");
}

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& s, Direction direction) {
  if (s.sums) return convolution_by_cudnn(s, direction);  // without it the layer and its sums go separate ways
  if (is_matrix_product(s)) return make_layer(as_matrix_product(s), direction);
  return or_note(convolution_by_cudnn(s, direction), s, direction, kConvolutions);
}

}  // namespace winnow::cuda::vendor
