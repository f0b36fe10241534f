// Batch norm, pooling and convolution by hashing for CUDA: the functors that also run on the CPU.
#include "kernels/cuda/fold_columns.cuh"
#include "kernels/cuda/fold_rows.cuh"
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/batch_norm.h"
#include "kernels/functors/channel_sums.h"
#include "kernels/functors/haste.h"
#include "kernels/functors/make_images.h"
#include "kernels/functors/pool.h"

namespace winnow::cuda {

WINNOW_FOR_EACH(UseRunningStatistics);
WINNOW_FOR_EACH(StatisticsFromSums);
#define WINNOW_BATCH_NORM(T)                                              \
  WINNOW_FOLD_COLUMNS(BatchNormSums<T>, StoreBatchStatistics<T>);         \
  WINNOW_FOR_EACH(BatchNormApply<T, 1>);                                  \
  WINNOW_FOR_EACH(BatchNormApply<T, 4>);                                  \
  WINNOW_FOLD_COLUMNS(BatchNormGradientSums<T>, StoreBatchNormGradients); \
  WINNOW_FOR_EACH(BatchNormBackwardApply<T, 1>);                          \
  WINNOW_FOR_EACH(BatchNormBackwardApply<T, 4>)
WINNOW_BATCH_NORM(float);
WINNOW_BATCH_NORM(bf16);
WINNOW_FOLD_COLUMNS(ChannelSums<float>, StoreChannelSums);
WINNOW_FOLD_COLUMNS(ChannelSums<bf16>, StoreChannelSums);
WINNOW_FOR_EACH(BatchNormApply<bf16, 8>);

WINNOW_FOR_EACH(MakeImages);

WINNOW_FOR_EACH_TYPE(MaxPool);
WINNOW_FOR_EACH_TYPE(MaxPoolBackward);
WINNOW_FOR_EACH_TYPE(AvgPool);
WINNOW_FOR_EACH_TYPE(AvgPoolBackward);

WINNOW_FOR_EACH_TYPE(HasteMean);
WINNOW_FOR_EACH_TYPE(HasteCode);
WINNOW_FOR_EACH(HasteLink);
WINNOW_FOR_EACH(HasteOrder);
WINNOW_FOR_EACH(HasteLeft);
WINNOW_FOR_EACH_TYPE(HasteConvolve);
WINNOW_FOLD_ROWS(std::int32_t, LoadHasteLeft, Sum, StoreHasteMerged);

}  // namespace winnow::cuda
