// Folds and the loss for CUDA: the functors the CPU runs.
#include "kernels/cuda/fold_rows.cuh"
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/soft_cross_entropy.h"
#include "kernels/functors/softmax_cross_entropy.h"

namespace winnow::cuda {

WINNOW_FOLD_ROWS(float, LoadRow<float>, Sum, StoreRow<float>);
WINNOW_FOLD_ROWS(float, LoadRow<bf16>, Sum, StoreRow<float>);
WINNOW_FOLD_ROWS(float, LoadColumn<float>, Sum, StoreRow<float>);
WINNOW_FOLD_ROWS(float, LoadColumn<bf16>, Sum, StoreRow<float>);
// One thread a row: rows are as long as there are classes.
WINNOW_FOR_EACH_TYPE(SoftmaxCrossEntropyRow);
WINNOW_FOR_EACH_TYPE(SoftCrossEntropyRow);
WINNOW_FOR_EACH_TYPE(MaxProbabilityRow);
WINNOW_FOR_EACH_TYPE(ShuffleOthersRow);
WINNOW_FOLD_ROWS(std::int32_t, LoadCounted, Sum, StoreMeanRows);
WINNOW_FOLD_ROWS(LossSums, LoadLoss, AddLosses, StoreLoss);
WINNOW_FOLD_ROWS(float, LoadRowLoss, Sum, StoreScaledLoss);

}  // namespace winnow::cuda
