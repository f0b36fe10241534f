// Layers by their definition and products of matrices for CUDA: the functors that also run on the CPU.
#include "kernels/cuda/fold_rows.cuh"
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/direct_layer.h"
#include "kernels/functors/matmul.h"

namespace winnow::cuda {

WINNOW_FOR_EACH_TYPE(DirectForward);
WINNOW_FOR_EACH_TYPE(DirectWeightGradient);
WINNOW_FOR_EACH_TYPE(DirectBackwardData);
WINNOW_FOLD_ROWS(float, LoadWeightGradient<float>, Sum, StoreRow<float>);
WINNOW_FOLD_ROWS(float, LoadWeightGradient<bf16>, Sum, StoreRow<float>);
WINNOW_FOR_EACH_TYPE(MatmulElement);

}  // namespace winnow::cuda
