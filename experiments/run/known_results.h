// Which trials of a sweep have a result in an output directory, and what finished ones took of time and disk, which corrects
// what the others are expected to take. Plain values; looking changes nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/run/estimate.h"
#include "experiments/trial_table.h"

namespace winnow {

struct KnownResults {
  // Unreadable: a file has the name of the result and gives none, so that the trial is neither done nor trained.
  enum class State : std::uint8_t { Nothing, Done, Unreadable };
  std::vector<State> of;              // by trial
  MeasuredRatios times, sizes;        // of finished ones
  double bytes = 0;                   // of all result files of the sweep
  std::vector<std::string> problems;  // a line for each file that cannot be read

  bool is_open(std::size_t trial) const { return of[trial] == State::Nothing; }
};

struct Expected {
  double seconds = 0, bytes = 0;
};
// `estimated`: of a trial, by TrialEstimate. Looks at each result, but reads only what results.index does not know.
KnownResults known_results(Files& files, const std::filesystem::path& out, const TrialTable& trials,
                           const std::function<Expected(std::size_t trial)>& estimated);

}  // namespace winnow
