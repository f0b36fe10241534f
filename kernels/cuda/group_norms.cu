// Norms of groups of weights and their proximal step for CUDA: the functors the CPU runs.
#include "kernels/functors/group_norms.h"

#include "kernels/cuda/fold_rows.cuh"
#include "kernels/cuda/for_each.cuh"

namespace winnow::cuda {

WINNOW_FOLD_ROWS(float, LoadGroupSquare, Sum, StoreGroupNorm);
WINNOW_FOR_EACH(GroupNormGradient);
WINNOW_FOR_EACH(GroupShrink);

}  // namespace winnow::cuda
