// Elementwise ops and activations for CUDA: the functors the CPU runs.
#include "kernels/cuda/for_each.cuh"
#include "kernels/functors/activations.h"
#include "kernels/functors/dropout.h"
#include "kernels/functors/elementwise.h"
#include "kernels/functors/hash_vector.h"
#include "kernels/functors/initial_values.h"
#include "kernels/functors/sigmoid.h"
#include "kernels/functors/soft_threshold.h"

namespace winnow::cuda {

WINNOW_FOR_EACH(Fill);
WINNOW_FOR_EACH(HashVector);
WINNOW_FOR_EACH(InitialValues<Draw::Constant>);
WINNOW_FOR_EACH(InitialValues<Draw::Normal>);
WINNOW_FOR_EACH(InitialValues<Draw::Uniform>);
WINNOW_FOR_EACH(InitialValues<Draw::Sign>);
WINNOW_FOR_EACH(Cast<float, float>);
WINNOW_FOR_EACH(Cast<float, bf16>);
WINNOW_FOR_EACH(Cast<bf16, float>);
WINNOW_FOR_EACH(Cast<bf16, bf16>);
WINNOW_FOR_EACH_TYPE(Add);
WINNOW_FOR_EACH_TYPE(AddSign);
WINNOW_FOR_EACH_TYPE(AddScaled);
WINNOW_FOR_EACH_TYPE(DividePositive);
WINNOW_FOR_EACH_TYPE(Lerp);
WINNOW_FOR_EACH_TYPE(AtLeast);
WINNOW_FOR_EACH_TYPE(Mul);
WINNOW_FOR_EACH_TYPE(ScaleBy);
WINNOW_FOR_EACH_TYPE(DivideBy);
WINNOW_FOR_EACH_TYPE(Broadcast);
WINNOW_FOR_EACH_TYPE(Relu);
WINNOW_FOR_EACH_TYPE(ReluBackward);
WINNOW_FOR_EACH_TYPE(Exp);
WINNOW_FOR_EACH_TYPE(Sigmoid);
WINNOW_FOR_EACH_TYPE(SigmoidBackward);
WINNOW_FOR_EACH_TYPE(DropoutInside);
WINNOW_FOR_EACH_TYPE(DropoutEnds);

}  // namespace winnow::cuda
