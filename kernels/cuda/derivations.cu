// Derivations of weights and wavelets for CUDA: the functors the CPU runs.
#include "kernels/cuda/fold_rows.cuh"
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/basis_combine.h"
#include "kernels/functors/compander.h"
#include "kernels/functors/lsq.h"
#include "kernels/functors/score_mask.h"
#include "kernels/functors/soft_threshold.h"
#include "kernels/functors/top_k.h"
#include "kernels/functors/wavelet.h"

namespace winnow::cuda {

WINNOW_FOR_EACH(BasisCombine);
WINNOW_FOR_EACH(BasisGradient);
WINNOW_FOR_EACH(BasisGradientSum);
WINNOW_FOR_EACH(ApplyMask);
WINNOW_FOR_EACH(ScoreGradient);
WINNOW_FOR_EACH(SoftThreshold);
WINNOW_FOR_EACH(SoftThresholdBackward);
WINNOW_FOR_EACH(WaveletElement<WaveletAnalysis>);
WINNOW_FOR_EACH(ScaledSynthesis);
WINNOW_FOR_EACH(DrawBands);

WINNOW_FOR_EACH(StartSelection);
WINNOW_FOR_EACH(CountDigits);
WINNOW_FOR_EACH(PickDigit);
WINNOW_FOR_EACH(CountEqualBefore);
WINNOW_FOR_EACH(KeepSelected);
WINNOW_FOLD_ROWS(std::int32_t, LoadDigitCounts, Sum, StoreRow<std::int32_t>);

WINNOW_FOR_EACH(LsqForward);
WINNOW_FOR_EACH(LsqBackward);

WINNOW_FOLD_ROWS(float, LoadThresholdGradient, Sum, StoreRow<float>);
WINNOW_FOLD_ROWS(float, LoadStepGradient, Sum, StoreStepGradient);

#define WINNOW_COMPANDING(kind)           \
  WINNOW_FOR_EACH(Compand<kind>);         \
  WINNOW_FOR_EACH(CompandBackward<kind>); \
  WINNOW_FOR_EACH(CompandSlope<kind>);    \
  WINNOW_FOR_EACH(CompandDecay<kind>);    \
  WINNOW_FOLD_ROWS(CompandingGradient, LoadCompandingGradient<kind>, AddCompandingGradients, StoreCompandingGradient)
WINNOW_COMPANDING(Companding::Arctan);
WINNOW_COMPANDING(Companding::Arsinh);
WINNOW_COMPANDING(Companding::Erf);

}  // namespace winnow::cuda
