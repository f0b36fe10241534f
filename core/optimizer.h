// Applies one update to every trained parameter of a ParamStore: the optimiser that train.optimizer names,
// under the masks' rule (a masked entry has no gradient, no decay and no state), and what the method adds
// to it. A compiled program of its own over the store's memory. Borrows store and run state; not synchronised.
#pragma once

#include <cstdint>
#include <vector>

#include "core/method.h"
#include "core/program.h"

namespace winnow {

class Optimizer {
 public:
  // `state`: that of the program whose gradients are applied; it marks what is not finite, and then nothing
  // moves any more. Without it the update has its own.
  Optimizer(const Settings& train, ParamStore& params, Method& method, int threads, RunState* state = nullptr);

  static int slots(const Settings& train);  // state tensors of a parameter: SGD 1, Adam and AdamW 2
  // The updates of this training run of the trial; compiled again where the method has them otherwise than before.
  void enter_phase(int phase);
  // Update number `number` since the slots were zero, from 1 (Adam's bias correction), with this learning
  // rate. Gradients are clipped first if train.clip_norm is set.
  void update(double learning_rate, std::int64_t number);

 private:
  struct Masks {
    ParamId id;
    ValueId keep, train;
  };
  Optimizer(UpdateGraph update, const Settings& train, ParamStore& params, Method& method, int threads,
            RunState* state);
  void note_masks(UpdateGraph& update);
  const Settings& train_;
  ParamStore& params_;
  Method& method_;
  int threads_, phase_ = 0;
  RunState* state_;
  Graph graph_;  // what program_ was compiled from
  std::vector<Masks> masks_;
  Program program_;
};

}  // namespace winnow
