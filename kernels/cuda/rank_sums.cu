// What ranks sum, gathered and scattered on CUDA: the functors the CPU runs.
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/rank_sums.h"

namespace winnow::cuda {

WINNOW_FOR_EACH(GatherLive);
WINNOW_FOR_EACH(ScatterLive);
WINNOW_FOR_EACH(GatherNumbers);
WINNOW_FOR_EACH(ScatterNumbers);

}  // namespace winnow::cuda
