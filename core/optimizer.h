// Applies one update to every trainable parameter of a ParamStore: SGD, Adam or AdamW as PyTorch
// defines them, under the masks' rule (a masked entry has no gradient, no decay and no state).
// Borrows the store; not synchronised.
#pragma once

#include <cstdint>

#include "core/param_store.h"
#include "core/settings.h"

namespace winnow {

class Optimizer {
 public:
  // `decay_frozen`: weight decay also moves entries with Trainable 0 (FreezeNet-WD).
  Optimizer(const Settings& train, bool decay_frozen, int threads);

  static int slots(const Settings& train);  // state tensors of a parameter: SGD 1, Adam and AdamW 2
  // Norm of all live gradients, summed in double in a fixed order.
  double gradient_norm(ParamStore& params) const;
  // Update number `number` since the slots were zero, from 1 (Adam's bias correction), with this learning
  // rate. Gradients are clipped first if train.clip_norm is set.
  void update(ParamStore& params, double learning_rate, std::int64_t number) const;

 private:
  enum class Rule : std::uint8_t { Sgd, Adam, AdamW } rule_;
  float momentum_, beta1_, beta2_, epsilon_;
  double weight_decay_, clip_norm_;
  bool nesterov_, decay_norm_, decay_frozen_;
  int threads_;
};

}  // namespace winnow
