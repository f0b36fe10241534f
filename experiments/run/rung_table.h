// Which trials go on past a rung and which stay: a pure function of what has arrived, whoever asks and in whatever order it came.
// Ties are broken by the trials' names. Plain values; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/run/median_stop.h"
#include "experiments/run/rung_decision.h"
#include "experiments/stop_rule.h"
#include "experiments/trial_table.h"

namespace winnow {

struct Contestant {
  std::string name;                         // of the trial
  std::string group;                        // only trials of one group compete
  std::vector<std::int64_t> rungs;          // at which it may be stopped, in epochs
  std::int64_t epochs = 0, eval_every = 1;  // of its training, and between evaluations
};
// Hyperband: the bracket follows from the trial's id alone, so that other trials of a sweep move none; replicates share it.
std::vector<Contestant> contestants(const StopRule& rule, const TrialTable& trials);
// Of trials with so many rungs, 1 or more. Shares of brackets are those of Hyperband: the more a bracket stops, the more trials it gets.
std::size_t bracket_of(const std::string& id, std::size_t rungs, std::int64_t eta);

class RungTable {
 public:
  struct Step {
    std::size_t trial = 0, rung = 0;
  };

  RungTable(const StopRule& rule, std::vector<Contestant> contestants);

  // It has come to this rung, so it was let past those before. NaN is the worst, and never goes on. The first word counts. Under the median
  // rule `value` is the best of the metric so far, and `mean` its mean so far.
  void arrive(Step at, double value, double mean = 0);
  // It failed on the way to this rung, or behind the last one on that to its end: as if it had arrived as the worst. It may still arrive.
  void fail(Step at);
  void finish(std::size_t trial) { states_[trial].finished = true; }  // it has a result
  void promote(Step past);                                            // somebody has let it past this rung
  void leave_out(std::size_t trial) {
    states_[trial].left_out = true;
  }  // it will not come now: neither due nor waited for
  // The next to be let past a rung: highest rung first, the best first. Nothing: none by what is known now.
  std::optional<Step> next();

  // Of one that has come to this rung, by what is known now. It stays: the rule has decided, and whoever goes on has been let past.
  // Asked behind next(), which decides about every rung, those below before those above.
  bool stays(Step at) const;
  RungDecision decision(Step at, bool promoted) const;

  const Contestant& contestant(std::size_t trial) const { return contestants_[trial]; }
  // The rung that it may train to; nothing: to its end.
  std::optional<std::size_t> target(std::size_t trial) const;
  bool has_arrived(Step at) const { return states_[at.trial].arrived[at.rung]; }
  bool is_due(std::size_t trial) const;  // it is to be trained, by what is known now
  bool has_failed(std::size_t trial) const;
  // Somebody's arrival can let others past a rung.
  bool waits() const;

 private:
  struct State {
    std::size_t group = 0, promoted = 0;
    std::vector<char> arrived, settled;  // by rung; settled: arrived or failed
    std::vector<double> values, means;
    std::optional<std::size_t> failed_at = {};
    bool finished = false, left_out = false;
  };
  struct Rung {
    std::size_t members = 0;              // that were sent to it
    std::size_t settled = 0;              // of them: arrived or failed
    std::vector<std::size_t> arrived;     // with a value
    std::vector<std::size_t> candidates;  // to be let past, the best last; right while `fresh`
    bool fresh = false;
  };
  struct Group {
    std::vector<Rung> rungs;
  };
  Rung& rung(Step at) { return groups_[states_[at.trial].group].rungs[at.rung]; }
  void changed(std::size_t group, std::size_t rung);
  void settle(Step at);
  bool is_complete(const Group& group, std::size_t rung) const;
  void choose(Group& group, std::size_t rung);
  std::vector<std::size_t> best_of(const Group& group, std::size_t rung);
  std::vector<Standing> standings(const Rung& place, std::size_t rung) const;
  std::vector<std::size_t> good_enough(const Rung& place, std::size_t rung) const;
  bool is_better(Step a, Step b) const;

  StopRule rule_;
  std::vector<Contestant> contestants_;
  std::vector<State> states_;
  std::vector<Group> groups_;
};

}  // namespace winnow
