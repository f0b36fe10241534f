#include "experiments/submit/job_time.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "experiments/text.h"

namespace winnow {

JobTime::JobTime(const Site& site, int widest) : site_(site) {
  const std::int64_t processes = site.nodes * site.tasks_per_node;
  if (widest > processes) {
    fail(ErrorKind::Site,
         "a trial needs {} ranks, a job has {} on {}: set tasks_per_node or nodes higher, or ranks lower", widest,
         counted(static_cast<std::size_t>(processes), "task"), counted(static_cast<std::size_t>(site.nodes), "node"));
  }
  // One process has a worker for each GPU or core.
  const std::int64_t own = site.gpus_per_node > 0 ? site.gpus_per_node : std::max<std::int64_t>(site.cpus_per_task, 1);
  at_a_time_ = static_cast<double>(processes > 1 ? processes / widest : own);
}

int JobTime::good_shards(std::span<const ExpectedTrial> left) const {
  constexpr double kMostUseful = 100'000;
  const double all = std::accumulate(left.begin(), left.end(), 0.0,
                                     [](double sum, const ExpectedTrial& trial) { return sum + trial.seconds; });
  double shards = std::ceil(all / (usable() / 2 * at_a_time_));
  // Of twice as many as run at once the slow ones are evened out.
  shards = std::max(shards, 2.0 * static_cast<double>(site_.at_once));
  shards = std::min({shards, std::ceil(static_cast<double>(left.size()) / at_a_time_), kMostUseful});
  return static_cast<int>(std::max(shards, 1.0));
}

JobTime::Load JobTime::load(std::span<const ExpectedTrial> left, int shards) const {
  std::vector<double> seconds(static_cast<std::size_t>(shards), 0), longest(seconds);
  for (const ExpectedTrial& trial : left) {
    const auto at = static_cast<std::size_t>(trial.shard);
    seconds[at] += trial.seconds / at_a_time_;
    longest[at] = std::max(longest[at], trial.seconds);
  }
  // However many train at a time, a trial takes what it takes.
  for (std::size_t at = 0; at < seconds.size(); ++at) seconds[at] = std::max(seconds[at], longest[at]);
  const auto busy = std::ranges::count_if(seconds, [](double time) { return time > 0; });
  return {.longest = std::ranges::max(seconds),
          .mean = std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(std::max<long>(busy, 1))};
}

std::vector<std::string> JobTime::warnings(std::span<const ExpectedTrial> left, int shards) const {
  std::vector<std::string> lines;
  if (usable() < 2 * kMostEarly) {
    lines.push_back(fmt::format(
        "Slurm may tell a job {} s early that its time ends: of a limit of {} a notice of {} s leaves {} s to start "
        "and train, less that (--time gives more)",
        kMostEarly, site_.time, site_.notice, usable()));
  }
  const auto starts = [this](double seconds) { return static_cast<std::int64_t>(std::ceil(seconds / usable())); };
  const auto longest = std::ranges::max_element(left, {}, &ExpectedTrial::seconds);
  if (longest != left.end() && longest->seconds > usable()) {
    const auto count = std::ranges::count_if(left, [this](const auto& trial) { return trial.seconds > usable(); });
    lines.push_back(
        fmt::format("{} cannot finish within the limit of {}: {} takes about {}, and is saved {} s before the limit: "
                    "it spans {} jobs, "
                    "each going on from the checkpoint of the one before",
                    counted(static_cast<std::size_t>(count), "trial"), site_.time, longest->label,
                    duration_text(longest->seconds), site_.notice, starts(longest->seconds)));
  } else if (const double most = load(left, shards).longest; most > usable()) {
    lines.push_back(
        fmt::format("the longest shard takes about {}, the limit is {}: it is requeued and goes on, {} jobs in all",
                    duration_text(most), site_.time, starts(most)));
  }
  return lines;
}

}  // namespace winnow
