// Optimizer steps and clipping for CUDA: the functors the CPU runs.
#include "kernels/cuda/fold_rows.cuh"
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/optimizer_steps.h"

namespace winnow::cuda {

#define WINNOW_STEP(Step)                             \
  WINNOW_FOR_EACH_CHECKED(Masked<Step, true, true>);  \
  WINNOW_FOR_EACH_CHECKED(Masked<Step, true, false>); \
  WINNOW_FOR_EACH_CHECKED(Masked<Step, false, true>); \
  WINNOW_FOR_EACH_CHECKED(Masked<Step, false, false>)
WINNOW_STEP(SgdStep);
WINNOW_STEP(AdamStep<EntrySquares>);
WINNOW_STEP(AdamStep<RowSquares>);

WINNOW_FOLD_ROWS(double, LoadSquare, Sum, StoreRow<double>);
WINNOW_FOLD_ROWS(SquareAndCount, LoadRowSquare, Sum, StoreRowSquare);
WINNOW_FOR_EACH(ClipScale);
WINNOW_FOR_EACH(NormScale);
WINNOW_FOR_EACH_LOOP(Ascend);

}  // namespace winnow::cuda
