// Folds and the loss for CUDA: the functors the CPU runs.
#include "kernels/cuda/fold_rows.cuh"
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/softmax_cross_entropy.h"

namespace winnow::cuda {

template cudaError_t fold_rows(cudaStream_t, std::int64_t, std::int64_t, float, const LoadRow<float>&, const Sum&,
                               const StoreRow<float>&, float*);
template cudaError_t fold_rows(cudaStream_t, std::int64_t, std::int64_t, float, const LoadRow<bf16>&, const Sum&,
                               const StoreRow<float>&, float*);
// One thread a row: rows are as long as there are classes.
template cudaError_t for_each(cudaStream_t, std::int64_t, const SoftmaxCrossEntropyRow<float>&);
template cudaError_t for_each(cudaStream_t, std::int64_t, const SoftmaxCrossEntropyRow<bf16>&);

}  // namespace winnow::cuda
