// What ranks sum and what is logged of a step, gathered and scattered on CUDA: the functors the CPU runs.
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/gather_scalars.h"
#include "kernels/functors/rank_sums.h"

namespace winnow::cuda {

WINNOW_FOR_EACH(GatherLive);
WINNOW_FOR_EACH(ScatterLive);
WINNOW_FOR_EACH(GatherScalars);
WINNOW_FOR_EACH(LogScalars);
WINNOW_FOR_EACH(ScatterScalars);

}  // namespace winnow::cuda
