// Ranks draw trials from the list that they share, with stand-ins for what they train: tickets_trial WHAT SECONDS under mpirun.
//   rate  all draw, as fast as they can
//   busy  rank 0 is deep in a step, in which it does not call MPI, and the others draw
//   pool  each rank is a group that trains SECONDS trials of one second
// One line of JSON from rank 0. tests/python/two_hosts.py starts it; by hand: docs/design.md.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/run/trial_draw.h"

namespace winnow {
namespace {

struct Measured {
  std::uint64_t draws = 0, worst_us = 0, all_us = 0;  // the worst and the sum of what draws took
};

// Draws until there are none or, if it has one, the time is over.
Measured draw_until(TrialDraw& draw, double end, double trial_s) {
  Measured measured;
  for (;;) {
    const double begun = seconds_now();
    if (begun > end || !draw.next()) return measured;
    const auto took = static_cast<std::uint64_t>(1e6 * (seconds_now() - begun));
    ++measured.draws;
    measured.all_us += took;
    measured.worst_us = std::max(measured.worst_us, took);
    if (trial_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(trial_s));
  }
}

void compute_until(double end) {
  for (volatile double sum = 1; seconds_now() < end;) sum = sum * 0.5 + 1;
}

int ranks_draw(const std::string& what, double seconds) {
  const auto world = make_world();
  const bool pool = what == "pool";
  const auto per_rank = static_cast<std::size_t>(pool ? seconds : 4e6);
  TrialTable trials;
  trials.add(TrialSpec{});
  const std::vector<std::size_t> list(per_rank * static_cast<std::size_t>(world->size()), 0);
  std::vector<Postponed> postponed(1, Postponed::Untouched);
  const std::vector<int> depths(1, 0);
  const std::filesystem::path nowhere;
  PosixFiles files;
  const auto tickets = world->tickets(1);
  TrialDraw draw(
      {.trials = trials, .files = files, .out = nowhere, .postponed = postponed, .depths = depths, .settled = 0}, list,
      *tickets);
  std::vector<std::uint64_t> meeting(1);
  world->all_reduce_max(meeting);

  const double begun = seconds_now(), end = pool ? 1e300 : begun + seconds;
  Measured own;
  if (what == "busy" && world->rank() == 0) {
    compute_until(end);
  } else {
    own = draw_until(draw, end - (what == "busy" ? seconds / 4 : 0), pool ? 1 : 0);
  }
  const double took = seconds_now() - begun;
  std::vector<double> sums{static_cast<double>(own.draws), 1e-6 * static_cast<double>(own.all_us)};
  std::vector<std::uint64_t> most{own.worst_us, static_cast<std::uint64_t>(1e6 * took)};
  world->all_reduce_sum(sums);
  world->all_reduce_max(most);
  if (world->rank() == 0) {
    const double span = 1e-6 * static_cast<double>(most[1]);
    nlohmann::json said{{"ranks", world->size()},
                        {"draws", sums[0]},
                        {"draws_per_s", sums[0] / span},
                        {"seconds", span},
                        {"worst_draw_s", 1e-6 * static_cast<double>(most[0])},
                        {"mean_draw_s", sums[1] / std::max(1.0, sums[0])}};
    if (pool) said["idle"] = 1 - sums[0] / (span * world->size());
    std::cout << said.dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int count, char** arguments) {
  if (count != 3) return 64;
  return winnow::ranks_draw(arguments[1], std::stod(arguments[2]));
}
