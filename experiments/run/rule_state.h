// Which trials of a sweep under a rule are to be trained now, from all that an output directory says: what leaders wrote down, results, and
// records of failures of which a killed process told nobody. For one rank; borrows all it is given.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "experiments/run/rung_board.h"
#include "experiments/run/sweep_state.h"

namespace winnow {

class RuleState {
 public:
  RuleState(Files& files, const std::filesystem::path& out, const StopRule& rule, const TrialTable& trials)
      : files_(files), out_(out), trials_(trials), board_(files, out, rule, trials) {}

  // By trial: whether it is due; some were let past a rung by this call.
  // `found`: of each trial, before this run trained any. `retry`: what failed before is due.
  std::vector<char> due(std::span<const Found> found, bool retry);
  // By trial: whether it stays at a rung while others that it competes with are `due`, which can let it go on.
  std::vector<char> waits(std::span<const char> due) const;
  std::vector<RungDecision> decisions() { return board_.decisions(); }  // of those that due() let past a rung
  std::vector<RungDecision> stopped() { return board_.stopped(); }

 private:
  void take_in_result(std::size_t at);
  bool is_forgotten(std::size_t at);

  Files& files_;
  std::filesystem::path out_;
  const TrialTable& trials_;
  RungBoard board_;
};

}  // namespace winnow
