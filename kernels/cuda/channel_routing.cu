// Selection of channels for CUDA: the functors the CPU runs.
#include "kernels/functors/channel_routing.h"

#include "kernels/cuda/for_each.cuh"

namespace winnow::cuda {

WINNOW_FOR_EACH(TopChannels);
WINNOW_FOR_EACH_TYPE(GatherChannels);
WINNOW_FOR_EACH_TYPE(ScatterChannels);
WINNOW_FOR_EACH_TYPE(FuseChannels);
WINNOW_FOR_EACH_TYPE(FuseBackwardBlock);
WINNOW_FOR_EACH_TYPE(FuseBackwardScores);

}  // namespace winnow::cuda
