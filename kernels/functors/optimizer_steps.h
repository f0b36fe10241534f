// Optimizer updates of one weight, with two optional masks of one byte (0 or 1) a weight:
//   keep   0: the weight is pruned; weight and optimizer state are zero.
//   train  0: the weight is frozen; its bits do not change and its optimizer state stays zero.
// The formulas are PyTorch's. What changes from update to update (learning rate, number of the update, scale of the
// gradients) and what a user sets (momentum, decay ...) is read where it lies when a step is loaded. Old and new arrays may
// be the same memory. Run by
// for_each_weight() (kernels/optimizer.h), which resolves the masks' presence outside the loop: with the test
// inside, the loop does not vectorise. For the same reason what is chosen from is computed before the choice, and
// neither the test for stopped() nor the one of written(i) is part of a step. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/functors/chunk.h"
#include "kernels/portable.h"
#include "kernels/run_state.h"

namespace winnow {

// What every step reads. `Step` inherits it and adds its state and formula.
struct UpdateOf {
  const float *grad, *weight;
  float* new_weight;
  const std::uint8_t *keep, *train;  // each may be null
  const float* grad_scale;           // null: 1
  const RunState* run;
  const double *lr, *weight_decay;     // multiplier of the learning rate; decay of this parameter
  const float* rate_factor = nullptr;  // of this parameter at this update; null: 1
  // Set by loaded().
  bool stopped = false;
  float scale = 1.0f;

 protected:
  WINNOW_HD void load_common() {
    stopped = run->status.stopped != 0;
    scale = grad_scale != nullptr ? *grad_scale : 1.0f;
  }
  WINNOW_HD double rate_of_update() const {
    return run->feed.learning_rate * *lr * (rate_factor != nullptr ? static_cast<double>(*rate_factor) : 1.0);
  }
};

// torch.optim.SGD without dampening: a first step on zero velocity equals PyTorch's.
struct SgdStep : UpdateOf {
  const float* velocity;
  float* new_velocity;
  const double* momentum;
  bool nesterov;
  float rate = 0, decay = 0, mu = 0;  // set by loaded()

  WINNOW_HD SgdStep loaded() const {
    SgdStep now = *this;
    now.load_common();
    now.rate = static_cast<float>(rate_of_update());
    now.decay = static_cast<float>(*weight_decay);
    now.mu = static_cast<float>(*momentum);
    return now;
  }
  // With those of its masks that it has (chunk.h).
  WINNOW_HD auto operands(const auto& run_on, auto&... masks) {
    return run_on(grad, weight, velocity, masks..., new_weight, new_velocity);
  }
  WINNOW_HD void start_at(std::int64_t) {}
  template <bool kKeep, bool kTrain>
  WINNOW_HD void update(std::int64_t i) const {
    const unsigned kept = kKeep ? keep[i] : 1u, trained = kTrain ? train[i] : 1u;
    const float w = weight[i], old = velocity[i], scaled = grad[i] * scale;
    const float g = scaled + decay * w;
    const float v = mu * old + g;
    const float ahead = g + mu * v;
    const float stepped = w - rate * (nesterov ? ahead : v);
    new_velocity[i] = (kept & trained) != 0 ? v : 0.0f;
    new_weight[i] = kept != 0 ? (trained != 0 ? stepped : w) : 0.0f;
  }
  WINNOW_HD void keep_old(std::int64_t i) const {
    new_velocity[i] = velocity[i];
    new_weight[i] = weight[i];
  }
};

// Second moments: one an entry.
struct EntrySquares {
  const float* square;
  float* new_square;
  WINNOW_HD auto operands(const auto& run_on) { return run_on(square, new_square); }
  WINNOW_HD void start_at(std::int64_t) {}
  WINNOW_HD float next(std::int64_t i, float g, float beta2) const {
    return beta2 * square[i] + (1.0f - beta2) * g * g;
  }
  WINNOW_HD void store(std::int64_t i, float value) const { new_square[i] = value; }
  WINNOW_HD void keep_old(std::int64_t i) const { new_square[i] = square[i]; }
};

// One a row of `cols` entries, which is at its new value already.
struct RowSquares {
  const float* square;
  std::int64_t cols;
  std::int64_t col = 0;  // of the first entry, which belongs to square[0]
  WINNOW_HD auto operands(const auto& run_on) { return run_on(); }
  WINNOW_HD void start_at(std::int64_t i) {
    square += i / cols;
    col = i % cols;
  }
  WINNOW_HD float next(std::int64_t i, float, float) const { return square[col + i < cols ? 0 : (col + i) / cols]; }
  WINNOW_HD void store(std::int64_t, float) const {}
  WINNOW_HD void keep_old(std::int64_t) const {}
};

// torch.optim.Adam, and AdamW where `decoupled`; Adam-mini with RowSquares.
template <class Squares>
struct AdamStep : UpdateOf {
  const float* mean;
  float* new_mean;
  Squares squares;
  const double *beta1, *beta2, *epsilon;
  bool decoupled;
  // Set by loaded(); the same for all weights.
  float b1 = 0, b2 = 0, eps = 0;
  float decay = 0;                    // Adam: added to the gradient; AdamW: 0
  float shrink = 1;                   // Adam: 1; AdamW: 1 - rate * weight_decay
  float step_size = 0;                // rate / (1 - beta1^t)
  float inverse_root_correction = 0;  // 1 / sqrt(1 - beta2^t)

  WINNOW_HD AdamStep loaded() const {
    AdamStep now = *this;
    now.load_common();
    const double rate = rate_of_update(), t = static_cast<double>(run->feed.update);
    now.b1 = static_cast<float>(*beta1);
    now.b2 = static_cast<float>(*beta2);
    now.eps = static_cast<float>(*epsilon);
    now.decay = decoupled ? 0.0f : static_cast<float>(*weight_decay);
    now.shrink = decoupled ? static_cast<float>(1.0 - rate * *weight_decay) : 1.0f;
    now.step_size = static_cast<float>(rate / (1.0 - pow(static_cast<double>(now.b1), t)));
    now.inverse_root_correction = static_cast<float>(1.0 / sqrt(1.0 - pow(static_cast<double>(now.b2), t)));
    return now;
  }
  WINNOW_HD auto operands(const auto& run_on, auto&... masks) {
    return squares.operands(
        [&](auto&... of_squares) { return run_on(grad, weight, mean, of_squares..., masks..., new_weight, new_mean); });
  }
  WINNOW_HD void start_at(std::int64_t i) { squares.start_at(i); }
  template <bool kKeep, bool kTrain>
  WINNOW_HD void update(std::int64_t i) const {
    const unsigned kept = kKeep ? keep[i] : 1u, trained = kTrain ? train[i] : 1u;
    const float w = weight[i], old_mean = mean[i], scaled = grad[i] * scale;
    const float g = scaled + decay * w;
    const float m = old_mean + (1.0f - b1) * (g - old_mean);
    const float s = squares.next(i, g, b2);
    const float stepped = shrink * w - step_size * m / (sqrtf(s) * inverse_root_correction + eps);
    new_mean[i] = (kept & trained) != 0 ? m : 0.0f;
    squares.store(i, (kept & trained) != 0 ? s : 0.0f);
    new_weight[i] = kept != 0 ? (trained != 0 ? stepped : w) : 0.0f;
  }
  WINNOW_HD void keep_old(std::int64_t i) const {
    new_mean[i] = mean[i];
    squares.keep_old(i);
    new_weight[i] = weight[i];
  }
};

// One of the four shapes of a step as a functor.
template <class Step, bool kKeep, bool kTrain>
struct Masked {
  Step step;
  WINNOW_HD Masked loaded() const { return {step.loaded()}; }
  WINNOW_HD auto operands(const auto& run_on) {
    if constexpr (kKeep && kTrain) {
      return step.operands(run_on, step.keep, step.train);
    } else if constexpr (kKeep) {
      return step.operands(run_on, step.keep);
    } else if constexpr (kTrain) {
      return step.operands(run_on, step.train);
    } else {
      return step.operands(run_on);
    }
  }
  WINNOW_HD void start_at(std::int64_t i) { step.start_at(i); }
  WINNOW_HD void operator()(std::int64_t i) const { step.template update<kKeep, kTrain>(i); }
  WINNOW_HD float written(std::int64_t i) const { return step.new_weight[i]; }
  WINNOW_HD bool stopped() const { return step.stopped; }
  WINNOW_HD void keep_old(std::int64_t i) const { step.keep_old(i); }
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

// Squares of the live gradients of one parameter, for a fold in double.
struct LoadSquare {
  const float* grad;
  const std::uint8_t *keep, *train;  // each may be null
  WINNOW_HD double operator()(std::int64_t, std::int64_t i) const {
    const bool live = (keep == nullptr || keep[i] != 0) && (train == nullptr || train[i] != 0);
    return live ? static_cast<double>(grad[i]) * static_cast<double>(grad[i]) : 0.0;
  }
};

// Squares of the live gradients of a row and how many they are, for a fold.
struct SquareAndCount {
  double sum = 0, count = 0;
  WINNOW_HD SquareAndCount operator+(const SquareAndCount& other) const {
    return {sum + other.sum, count + other.count};
  }
};
struct LoadRowSquare {
  const float* grad;
  const std::uint8_t *keep, *train;  // each may be null
  const float* grad_scale;           // null: 1
  std::int64_t cols;
  WINNOW_HD SquareAndCount operator()(std::int64_t row, std::int64_t col) const {
    const std::int64_t i = row * cols + col;
    const bool live = (keep == nullptr || keep[i] != 0) && (train == nullptr || train[i] != 0);
    const double g = static_cast<double>(grad[i]) * (grad_scale != nullptr ? static_cast<double>(*grad_scale) : 1.0);
    return live ? SquareAndCount{g * g, 1.0} : SquareAndCount{};
  }
};
// The second moment of a row goes on by the mean of its squares; it stays where no entry is live and after a stop.
struct StoreRowSquare {
  const float* square;
  float* new_square;
  const RunState* run;
  const double* beta2;
  WINNOW_HD void operator()(std::int64_t row, const SquareAndCount& of) const {
    const double old = static_cast<double>(square[row]);
    const bool moves = of.count > 0 && run->status.stopped == 0;
    new_square[row] = moves ? static_cast<float>(*beta2 * old + (1.0 - *beta2) * of.sum / of.count) : square[row];
  }
};

// The factor that gives all gradients together this norm; 0 where they have none.
struct NormScale {
  const double* squares;  // one a parameter, added in their order
  std::int64_t count;
  const double* norm;
  float* scale;
  WINNOW_HD void operator()(std::int64_t) const {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += squares[i];
    *scale = sum > 0 ? static_cast<float>(*norm / sqrt(sum)) : 0.0f;
  }
};

// The point that lies along the gradient from a weight. Entries that are not live stay where they are.
struct Ascend {
  const float *weight, *grad;
  const std::uint8_t *keep, *train;  // each may be null
  const float* scale;
  float* point;
  float factor = 0;  // set by loaded()
  WINNOW_HD Ascend loaded() const { return {weight, grad, keep, train, scale, point, *scale}; }
  WINNOW_HD auto operands(const auto& run_on) {
    if (keep != nullptr && train != nullptr) return run_on(weight, grad, keep, train, point);
    if (keep != nullptr) return run_on(weight, grad, keep, point);
    return train != nullptr ? run_on(weight, grad, train, point) : run_on(weight, grad, point);
  }
  WINNOW_HD void operator()(std::int64_t i) const {
    const bool live = (keep == nullptr || keep[i] != 0) && (train == nullptr || train[i] != 0);
    point[i] = live ? weight[i] + factor * grad[i] : weight[i];
  }
};

// The factor that brings the norm of all gradients down to `most`, as torch.nn.utils.clip_grad_norm_: a NaN
// among them becomes the factor.
struct ClipScale {
  const double* squares;  // one a parameter, added in their order
  std::int64_t count;
  const double* most;
  float* scale;
  WINNOW_HD void operator()(std::int64_t) const {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += squares[i];
    const double norm = sqrt(sum);
    *scale = norm <= *most ? 1.0f : static_cast<float>(*most / (norm + 1e-6));
  }
};

}  // namespace winnow
