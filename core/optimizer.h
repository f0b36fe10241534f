// Applies one update to the trained parameters of a ParamStore that do not rest: the optimiser that train.optimizer
// names, under the masks' rule (a masked entry has no gradient, no decay and no state), and what the method adds
// to it. Compiled programs of its own over the store's memory. Borrows store and run state; not synchronised.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/method.h"
#include "core/program.h"

namespace winnow {

class Optimizer {
 public:
  // `state`: that of the program whose gradients are applied; it marks what is not finite, and then nothing
  // moves any more. Without it the update has its own.
  Optimizer(const Settings& train, ParamStore& params, Method& method, int threads, RunState* state = nullptr,
            std::span<const ParamId> resting = {});

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
    float* values;
  };
  std::span<const Point> point();
  std::size_t point_bytes() const;

 private:
  struct Masks {
    ParamId id;
    ValueId keep, train;
  };
  Optimizer(UpdateGraph update, const Settings& train, ParamStore& params, Method& method, int threads, RunState* state,
            std::span<const ParamId> resting);
  void note_masks(UpdateGraph& update);
  void bind_masks(Program& program, const std::vector<Masks>& masks);
  const Settings& train_;
  ParamStore& params_;
  Method& method_;
  int threads_, phase_ = 0;
  RunState* state_;
  std::vector<ParamId> resting_;
  Graph graph_;  // what program_ was compiled from
  std::vector<Masks> masks_;
  std::vector<float> factors_;  // by position in masks_; the update reads them there
  Program program_;
  struct PointProgram {
    std::vector<Masks> masks;
    std::vector<Tensor> memory;  // by position
    std::vector<Point> point;
    Program program;
  };
  std::optional<PointProgram> point_;
};

}  // namespace winnow
