// What a group of ranks takes up next under a rule that stops trials early: one that is let past a rung, those of higher rungs first, and
// where there is none the next of a list that all groups share. Used by one rank of a group; borrows all it is given.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "experiments/run/rung_board.h"
#include "experiments/run/trial_draw.h"

namespace winnow {

class RungDraw final : public Draw {
 public:
  // `list`: trials that were due when the round began, with those that somebody let past a rung and did not train. `tickets` have one
  // counter for them.
  RungDraw(const TrialDraw::Job& job, RungBoard& board, std::span<const std::size_t> list, Tickets& tickets);
  std::optional<std::size_t> next() override;
  // Where a rule decides about whole rungs, only when nobody is seen to have a trial in work that can let others go on: one that has died,
  // or stands still, keeps nobody waiting.
  bool over() override;

 private:
  std::optional<std::size_t> take(std::size_t at);
  bool sees_work();

  TrialDraw::Job job_;
  RungBoard& board_;
  std::vector<std::size_t> list_;
  Tickets& tickets_;
  bool handed_out_ = false;
  std::chrono::steady_clock::time_point looked_ = {}, hope_ends_;
};

}  // namespace winnow
