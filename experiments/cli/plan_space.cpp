// What `winnow plan` says of files and bytes.
#include <algorithm>
#include <bitset>

#include "experiments/cli/sweep_plan.h"
#include "experiments/text.h"

namespace winnow {
namespace {

// OUT, trials, plans, sweeps, journal, running, checkpoints; plan.tsv, the plan, the sweep file, results.index.
constexpr std::size_t kFolders = 7, kFiles = 4;
constexpr std::size_t kKeptCheckpoints = 2, kWrittenCheckpoints = 1;
// Of a line with the name of a trial in a plan, in results.index and in shards; of the records of a journal.
constexpr double kNameBytes = 26, kIndexBytes = 140, kShardBytes = 45;
constexpr double kJournalBytes = 1000, kTrialRecords = 320, kEpochRecord = 150, kBeatRecord = 170, kBeatSeconds = 30;

}  // namespace

SpaceNeeded space_of(const SweepPlan& plan) {
  const TrialTable& trials = plan.sweep.trials;
  SpaceNeeded space;
  std::bitset<256> folders;  // of results, by the first two digits of their ids
  double seconds = 0, checkpoint = 0;
  for (const PlannedConfiguration& one : plan.configurations) {
    folders.set(std::stoul(trials.id(one.first).substr(0, 2), nullptr, 16));
    const auto all = static_cast<double>(one.replicates), left = static_cast<double>(one.replicates - one.done);
    space.result_bytes += left * one.cost.result_bytes;
    space.bytes += all * (2 * (kNameBytes + one.plan_line) + kIndexBytes + (plan.shards ? kShardBytes : 0));
    space.bytes += all * (kTrialRecords + kEpochRecord * static_cast<double>(one.cost.epochs));
    seconds += all * one.cost.seconds;
    if (left > 0) checkpoint = std::max(checkpoint, one.cost.checkpoint_bytes);
  }
  const std::size_t journals = plan.shards ? static_cast<std::size_t>(plan.shards->count) : 1;
  space.result_bytes += plan.results.bytes;
  space.bytes += space.result_bytes + static_cast<double>(plan.sweep.text.size()) +
                 kJournalBytes * static_cast<double>(journals) + kBeatRecord * seconds / kBeatSeconds;
  space.files = trials.size() + folders.count() + kFolders + kFiles + journals + (plan.shards ? 2 : 0);
  space.files_in_work = 2 + kKeptCheckpoints + kWrittenCheckpoints;
  space.bytes_in_work = checkpoint * static_cast<double>(kKeptCheckpoints + kWrittenCheckpoints);
  return space;
}

std::string space_text(const SweepPlan& plan) {
  const SpaceNeeded space = space_of(plan);
  const std::string source = plan.results.sizes.size() == 0
                                 ? "by what their weights take"
                                 : "from " + counted(plan.results.sizes.size(), "finished trial");
  return fmt::format(
      "space  {} files and folders of {} when all is done, {} of that in results ({}); for each trial in work at most "
      "{} more of {}\n",
      space.files, bytes_text(space.bytes), bytes_text(space.result_bytes), source, space.files_in_work,
      bytes_text(space.bytes_in_work));
}

}  // namespace winnow
