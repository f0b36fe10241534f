// How many trials come to each rung of a rule, and how many epochs that takes, if none fails: before any of them runs. A pure function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "experiments/stop_rule.h"
#include "experiments/trial_table.h"

namespace winnow {

// All numbers are the least that may come, `full` excepted.
struct RungForecast {
  struct Rung {
    std::int64_t epochs = 0;
    std::size_t trials = 0, go_on = 0;
  };
  std::map<std::string, std::vector<Rung>> groups;
  double epochs = 0, full = 0;  // of all trials, with the rule and without
  std::size_t finished = 0;
  bool exact = true;  // just so many come: the rule decides about whole rungs, and trials that compete are equally long
};
RungForecast forecast(const StopRule& rule, const TrialTable& trials);

}  // namespace winnow
