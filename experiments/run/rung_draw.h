// What a group of ranks takes up next under a rule that stops trials early: one that is let past a rung, those of higher rungs first, and
// where there is none the next of a list that all groups share. Used by one rank of a group; borrows all it is given.
#pragma once

#include <chrono>
#include <set>
#include <span>
#include <string>
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
  // Where trials that are in work can let others go on, only when nobody is seen to have one in work for as long as a heartbeat may be late:
  // on a slow file system it may not be seen. Sooner where a process of this run has died, where another run had a trial in work, or where
  // one was in work, is so no more and has not come to its rung. While nothing changes it looks less and less often, and in between says
  // that it is not over.
  bool over() override;

 private:
  using Clock = std::chrono::steady_clock;
  std::optional<std::size_t> take(std::size_t at);
  std::optional<std::size_t> look();
  bool sees_work();
  std::chrono::seconds hope() const;  // for which it stays where nobody is seen at work

  TrialDraw::Job job_;
  RungBoard& board_;
  std::vector<std::size_t> list_;
  Tickets& tickets_;
  bool handed_out_ = false;
  bool just_looked_ = false;        // the last next() did
  Clock::duration pace_;            // between this look and the next
  Clock::time_point look_at_ = {};  // the next look
  Clock::time_point saw_work_;      // or took something up
  std::set<std::string> begun_;     // competitors that somebody was seen to have begun with
};

}  // namespace winnow
