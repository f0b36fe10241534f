// Applies one update to the trained parameters of a ParamStore that do not rest: the optimiser that train.optimizer
// names, under the masks' rule (a masked entry has no gradient, no decay and no state), and what the method adds
// to it. Compiled programs of its own over the store's memory. Borrows store and run state; not synchronised.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/method.h"
#include "core/program.h"
#include "core/update_programs.h"

namespace winnow {

class Optimizer {
 public:
  // `context`: that of the program whose gradients are applied, on the device of the parameters; its state marks what is
  // not finite, and then nothing moves any more. `kept`: where compiled updates come from and stay.
  Optimizer(const Settings& train, ParamStore& params, Method& method, const RunContext& context,
            std::span<const ParamId> resting = {}, UpdatePrograms* kept = nullptr);

  static const SlotShapes& slots(const Settings& train);
  static int passes(const Settings& train);  // forward and backward, of an update: SGD 1, SAM 2
  // The updates of this training run of the trial; compiled again where the method has them otherwise than before.
  void enter_phase(int phase);
  // Update number `number` since the slots were zero, from 1 (Adam's bias correction), with this learning
  // rate times the factor of each parameter, by ParamId; without factors 1. Gradients are clipped first if
  // train.clip_norm is set.
  void update(double learning_rate, std::int64_t number, std::span<const double> factors = {});

  // An optimiser of two passes takes the gradient of the update elsewhere. With the gradients at the weights in their
  // place, this computes where, in memory of its own.
  struct Point {
    ParamId id;
    void* values;  // in the memory of the device
  };
  std::span<const Point> point();
  std::size_t point_bytes() const;
  // The update, and what computes the point where there is one; for a dry run.
  std::vector<Program*> programs();

 private:
  struct Masks {
    ParamId id;
    ValueId keep, train;
  };
  void take(UpdateGraph update);
  void find_point();
  UpdatePrograms& kept() { return kept_ != nullptr ? *kept_ : own_; }
  void bind_masks(Program& program, const std::vector<Masks>& masks);
  const Settings& train_;
  ParamStore& params_;
  Method& method_;
  int phase_ = 0;
  RunContext context_;
  std::vector<ParamId> resting_;
  UpdatePrograms* kept_;
  UpdatePrograms own_;
  std::shared_ptr<CompiledUpdate> update_;
  std::vector<Masks> masks_;                  // of update_, in the order of its factors
  std::shared_ptr<CompiledUpdate> to_point_;  // null: an optimiser of one pass
  std::vector<Masks> point_masks_;
  std::vector<Point> point_;
};

}  // namespace winnow
