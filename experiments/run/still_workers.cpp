#include "experiments/run/still_workers.h"

#include <algorithm>
#include <string_view>

#include "core/clock.h"
#include "distributed/node_peers.h"

namespace winnow {

std::vector<StillWorkers::Change> StillWorkers::look(std::span<const pid_t> processes) {
  constexpr double kLookEvery = 1;  // s
  const double since_last = seconds_now() - looked_;
  if (since_last < kLookEvery) return {};
  looked_ += since_last;
  // This process may have been stopped as well, with the whole of its job.
  const double step = std::min(since_last, 2 * kLookEvery);
  watched_.resize(processes.size());
  std::vector<Change> changes;
  for (std::size_t worker = 0; worker < processes.size(); ++worker) {
    Watched& one = watched_[worker];
    if (one.process != processes[worker]) one = {.process = processes[worker]};
    if (one.process <= 0) continue;
    const char letter = state_of_process(one.process).letter;
    const bool stands = letter == 'T' || letter == 't';
    // One that has been killed ends, and does not go on; of another nothing is known now.
    if (!stands && std::string_view("RSDI").find(letter) == std::string_view::npos) continue;
    one.seconds = stands ? one.seconds + step : 0;
    if (one.told == (stands && one.seconds > patience_)) continue;
    one.told = !one.told;
    changes.push_back({.worker = static_cast<int>(worker), .process = one.process, .still = one.told});
  }
  return changes;
}

}  // namespace winnow
