// Optimizer updates of one weight, with two optional masks of one byte (0 or 1) a weight:
//   keep   0: the weight is pruned; weight and optimizer state are zero.
//   train  0: the weight is frozen; it gets no loss gradient and its optimizer state stays zero. It
//   still decays if
//          decay_frozen is set, otherwise its bits do not change.
// The formulas are PyTorch's. Run by for_each_weight(), which resolves the masks' presence outside
// the loop: with the test inside, the loop does not vectorise. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// torch.optim.SGD without dampening: a first step on zero velocity equals PyTorch's.
struct SgdStep {
  const float* grad;
  float *weight, *velocity;
  const std::uint8_t *keep, *train;  // each may be null
  float lr, momentum, weight_decay, grad_scale;
  bool nesterov, decay_frozen;

  template <bool kKeep, bool kTrain>
  WINNOW_HD void update(std::int64_t i) const {
    const unsigned kept = kKeep ? keep[i] : 1u, trained = kTrain ? train[i] : 1u;
    const float w = weight[i], scaled = grad[i] * grad_scale;
    const float g = (trained != 0 ? scaled : 0.0f) + weight_decay * w;
    const float v = momentum * velocity[i] + g;
    const float stepped = w - lr * (nesterov ? g + momentum * v : v);
    const unsigned moves = trained | static_cast<unsigned>(decay_frozen);
    velocity[i] = (kept & moves) != 0 ? v : 0.0f;
    weight[i] = kept != 0 ? (moves != 0 ? stepped : w) : 0.0f;
  }
};

// torch.optim.Adam and AdamW. What is the same for all weights is the caller's, computed once a step.
struct AdamStep {
  const float* grad;
  float *weight, *mean, *square;     // first and second moment
  const std::uint8_t *keep, *train;  // each may be null
  float beta1, beta2, epsilon, grad_scale;
  float weight_decay;             // Adam: added to the gradient; AdamW: 0
  float shrink;                   // Adam: 1; AdamW: 1 - lr * weight_decay
  float step_size;                // lr / (1 - beta1^t)
  float inverse_root_correction;  // 1 / sqrt(1 - beta2^t)
  bool decay_frozen;

  template <bool kKeep, bool kTrain>
  WINNOW_HD void update(std::int64_t i) const {
    const unsigned kept = kKeep ? keep[i] : 1u, trained = kTrain ? train[i] : 1u;
    const float w = weight[i], scaled = grad[i] * grad_scale;
    const float g = (trained != 0 ? scaled : 0.0f) + weight_decay * w;
    const float m = mean[i] + (1.0f - beta1) * (g - mean[i]);
    const float s = beta2 * square[i] + (1.0f - beta2) * g * g;
    const float stepped = shrink * w - step_size * m / (sqrtf(s) * inverse_root_correction + epsilon);
    const unsigned moves = trained | static_cast<unsigned>(decay_frozen);
    mean[i] = (kept & moves) != 0 ? m : 0.0f;
    square[i] = (kept & moves) != 0 ? s : 0.0f;
    weight[i] = kept != 0 ? (moves != 0 ? stepped : w) : 0.0f;
  }
};

// One of the four shapes of a step as a functor.
template <class Step, bool kKeep, bool kTrain>
struct Masked {
  Step step;
  WINNOW_HD void operator()(std::int64_t i) const { step.template update<kKeep, kTrain>(i); }
};

// run(functor) with the functor that fits the masks `step` has.
template <class Step, class Run>
void with_masks(const Step& step, const Run& run) {
  if (step.keep != nullptr && step.train != nullptr) {
    run(Masked<Step, true, true>{step});
  } else if (step.keep != nullptr) {
    run(Masked<Step, true, false>{step});
  } else if (step.train != nullptr) {
    run(Masked<Step, false, true>{step});
  } else {
    run(Masked<Step, false, false>{step});
  }
}

}  // namespace winnow
