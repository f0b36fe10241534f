// Optimizer steps for CUDA: the functors the CPU runs.
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/optimizer_steps.h"

namespace winnow::cuda {

#define WINNOW_STEP(Step)                     \
  WINNOW_FOR_EACH(Masked<Step, true, true>);  \
  WINNOW_FOR_EACH(Masked<Step, true, false>); \
  WINNOW_FOR_EACH(Masked<Step, false, true>); \
  WINNOW_FOR_EACH(Masked<Step, false, false>)
WINNOW_STEP(SgdStep);
WINNOW_STEP(AdamStep);

}  // namespace winnow::cuda
