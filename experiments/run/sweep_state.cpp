#include "experiments/run/sweep_state.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"

namespace winnow {
namespace {

std::size_t count(std::span<const Found> found, Found state) {
  return static_cast<std::size_t>(std::ranges::count(found, state));
}

}  // namespace

Found find_result(Files& files, const std::filesystem::path& out, const TrialSpec& spec) {
  const auto path = Layout(out).trial(spec.name());
  if (!files.exists(path)) return Found::Nothing;
  const TrialHeader header = read_header(files, path);
  check_owner(path, header.name);
  return header.outcome == Outcome::Diverged ? Found::Diverged : Found::Done;
}

std::vector<Found> find_results(Files& files, const std::filesystem::path& out, std::span<const TrialSpec> trials) {
  std::set<std::string> failed;
  for (const FailureRecord& record : read_failures(files, out)) failed.insert(record.name);
  std::vector<Found> found;
  std::vector<std::string> damaged;
  for (const TrialSpec& trial : trials) {
    found.push_back(failed.contains(trial.name()) ? Found::FailedBefore : Found::Nothing);
    try {
      const Found result = find_result(files, out, trial);
      if (result != Found::Nothing) found.back() = result;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Input) throw;
      damaged.push_back(fmt::format("{}; remove it and run again", error.what()));
    }
  }
  if (!damaged.empty()) fail(ErrorKind::Input, "{}", fmt::join(damaged, "\n"));
  return found;
}

bool is_in_work(Files& files, const std::filesystem::path& out, const TrialSpec& spec) {
  return std::ranges::any_of(read_running(files, out, unix_now()),
                             [&](const RunningTrial& trial) { return trial.name == spec.name() && !trial.stale; });
}

Tally& Tally::operator+=(const Tally& other) {
  for (std::size_t i = 0; i < kEndings; ++i) counts[i] += other.counts[i];
  return *this;
}

std::string summary(std::span<const Found> found, const Tally& tally, bool retry_failed) {
  const std::size_t diverged = count(found, Found::Diverged);
  const std::size_t left_alone = retry_failed ? 0 : count(found, Found::FailedBefore);
  const double elsewhere = tally[Tally::Elsewhere] + tally[Tally::ElsewhereDiverged];
  std::string text = fmt::format("{} trials: {} already done", found.size(), count(found, Found::Done) + diverged);
  if (diverged > 0) text += fmt::format(" ({} diverged)", diverged);
  if (left_alone > 0) text += fmt::format(", {} left alone (failed before)", left_alone);
  if (elsewhere > 0) text += fmt::format(", {} published by another run", elsewhere);
  return text + fmt::format(", {} trained, {} diverged, {} failed", tally[Tally::Trained], tally[Tally::Diverged],
                            tally[Tally::Failed]);
}

bool all_well(std::span<const Found> found, const Tally& tally, bool retry_failed) {
  return count(found, Found::Diverged) == 0 && (retry_failed || count(found, Found::FailedBefore) == 0) &&
         tally[Tally::Diverged] == 0 && tally[Tally::Failed] == 0 && tally[Tally::ElsewhereDiverged] == 0;
}

}  // namespace winnow
