// Ops that work on a row at a time, and GELU, for CUDA: the functors the CPU runs, one thread a row.
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/dropout.h"
#include "kernels/functors/elementwise.h"
#include "kernels/functors/gelu.h"
#include "kernels/functors/layer_norm.h"
#include "kernels/functors/layout.h"
#include "kernels/functors/softmax.h"

namespace winnow::cuda {

WINNOW_FOR_EACH_TYPE(AddToRow);
WINNOW_FOR_EACH_TYPE(CopyColumns);
WINNOW_FOR_EACH_TYPE(DropExample);
WINNOW_FOR_EACH_TYPE(Gelu);
WINNOW_FOR_EACH_TYPE(GeluBackward);
WINNOW_FOR_EACH_TYPE(LayerNormRow);
WINNOW_FOR_EACH_TYPE(LayerNormBackwardRow);
WINNOW_FOR_EACH_TYPE(LayerNormGradientChunk);
WINNOW_FOR_EACH(LayerNormGradientFold);
WINNOW_FOR_EACH_TYPE(PermuteRow);
WINNOW_FOR_EACH_TYPE(ShortcutBackwardLine);
WINNOW_FOR_EACH_TYPE(ShortcutLine);
WINNOW_FOR_EACH_TYPE(SoftmaxRow);
WINNOW_FOR_EACH_TYPE(SoftmaxBackwardRow);
WINNOW_FOR_EACH_TYPE(TransposeRow);

}  // namespace winnow::cuda
