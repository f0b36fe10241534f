// Optimizer steps for CUDA: the functors the CPU runs.
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/optimizer_steps.h"

namespace winnow::cuda {

template <class Step>
cudaError_t for_each_weight(cudaStream_t stream, std::int64_t n, const Step& step) {
  cudaError_t status = cudaSuccess;
  with_masks(step, [&](const auto& body) { status = for_each(stream, n, body); });
  return status;
}

template cudaError_t for_each_weight(cudaStream_t, std::int64_t, const SgdStep&);
template cudaError_t for_each_weight(cudaStream_t, std::int64_t, const AdamStep&);

}  // namespace winnow::cuda
