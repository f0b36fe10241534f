// What layers and those of vendor libraries (kernels/cuda/vendor) run before and after a call: the functors, for CUDA.
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/add_bias.h"
#include "kernels/functors/pack_weights.h"

namespace winnow::cuda {

WINNOW_FOR_EACH_TYPE(AddBias);
WINNOW_FOR_EACH_TYPE(AddBiasRelu);
WINNOW_FOR_EACH_TYPE(FitChannels);
WINNOW_FOR_EACH(FitChannels<float, bf16>);
WINNOW_FOR_EACH_TYPE(PackWeights);
WINNOW_FOR_EACH_TYPE(UnpackWeights);

}  // namespace winnow::cuda
