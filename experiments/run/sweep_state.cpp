#include "experiments/run/sweep_state.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "experiments/need_role.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/result_index.h"
#include "experiments/results/rung_claims.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/text.h"

namespace winnow {
namespace {

std::size_t count(std::span<const Found> found, Found state) {
  return static_cast<std::size_t>(std::ranges::count(found, state));
}

Found find(Files& files, const std::filesystem::path& out, const std::string& name, ResultIndex* index,
           std::vector<std::string>& problems) {
  const auto path = Layout(out).trial(name);
  try {
    const auto stamp = files.stamp(path);
    if (!stamp) return Found::Nothing;
    const TrialNote* known = index == nullptr ? nullptr : index->find(name, *stamp);
    const TrialNote note = known != nullptr ? *known : check_result(files, path);
    check_owner(path, note.name);
    if (index != nullptr && known == nullptr) index->put(name, *stamp, note);
    return note.outcome == Outcome::Diverged ? Found::Diverged : Found::Done;
  } catch (const Error& error) {
    if (!is_unreadable(error)) throw;
    const bool damaged = error.kind() == ErrorKind::Input;
    problems.push_back(fmt::format("{}{}", error.what(), damaged ? "; remove it to train the trial again" : ""));
    return Found::Unreadable;
  }
}

}  // namespace

Found find_result(Files& files, const std::filesystem::path& out, const std::string& name,
                  std::vector<std::string>& problems) {
  return find(files, out, name, nullptr, problems);
}

std::optional<std::string> missing_need(Files& files, const std::filesystem::path& out, const TrialSpec& spec) {
  for (const TrialNeed& need : spec.needs) {
    std::vector<std::string> problems;
    const Found found = find_result(files, out, need.trial, problems);
    if (found == Found::Done) continue;
    const std::string who = fmt::format("its {} {}", word_of_role(need.role), need.trial);
    if (found == Found::Diverged) return who + " diverged";
    if (found == Found::Unreadable) return fmt::format("{} cannot be read: {}", who, fmt::join(problems, "; "));
    const auto reason = failure_reason(files, out, need.trial);
    return who + (reason ? " failed: " + *reason : " has no result");
  }
  return std::nullopt;
}

std::vector<Found> find_results(Files& files, const std::filesystem::path& out, const TrialTable& trials,
                                std::span<const char> wanted, std::vector<std::string>& problems) {
  const std::vector<std::string> published = published_trials(files, out);
  std::set<std::string> failed;
  for (const FailureRecord& record : read_failures(files, out)) failed.insert(record.name);
  ResultIndex index(files, out);
  std::vector<Found> found;
  for (std::size_t at = 0; at < trials.size(); ++at) {
    if (wanted[at] == 0) {
      found.push_back(Found::Nothing);
      continue;
    }
    const std::string name = trials.name(at);
    const bool is_there = std::ranges::binary_search(published, name);
    found.push_back(is_there ? find(files, out, name, &index, problems) : Found::Nothing);
    if (found.back() == Found::Nothing && failed.contains(name)) found.back() = Found::FailedBefore;
  }
  index.save();
  return found;
}

void clear_leftovers(Files& files, const std::filesystem::path& out) {
  const Layout layout(out);
  for (const auto& folder : {out, layout.plans(), layout.sweeps(), layout.failures(), layout.running(), layout.shards(),
                             layout.submissions()}) {
    files.clear_leftovers(folder);
  }
  for (const auto& folder : files.list(layout.trials())) files.clear_leftovers(layout.trials() / folder);
  clear_old_checkpoints(files, out);
  for (const auto& rule : files.list(layout.rungs())) files.clear_leftovers(claims_folder(layout.rungs() / rule));
  for (const auto& folder : files.list(layout.stopped())) {
    files.clear_leftovers(layout.stopped() / folder);
    for (const auto& file : files.list(layout.stopped() / folder)) {
      const std::string name = file.substr(0, file.rfind('.'));
      if (files.exists(layout.trial(name))) forget_stopped(files, out, name);
    }
  }
}

bool is_in_work(Files& files, const std::filesystem::path& out, const std::string& name) {
  const auto trial = read_running(files, out, name, unix_now());
  return trial && !trial->stale;
}

Tally& Tally::operator+=(const Tally& other) {
  for (std::size_t i = 0; i < kEndings; ++i) counts[i] += other.counts[i];
  return *this;
}

RunSummary summary(std::span<const Found> found, const Tally& tally, bool retry_failed) {
  const auto tallied = [&](Tally::Ending ending) { return static_cast<std::size_t>(tally[ending]); };
  const std::size_t diverged = count(found, Found::Diverged);
  return {.trials = found.size(),
          .already_done = count(found, Found::Done) + diverged,
          .already_diverged = diverged,
          .unreadable = count(found, Found::Unreadable) + tallied(Tally::ElsewhereUnreadable),
          .left_alone = retry_failed ? 0 : count(found, Found::FailedBefore),
          .elsewhere = tallied(Tally::Elsewhere) + tallied(Tally::ElsewhereDiverged),
          .trained = tallied(Tally::Trained),
          .diverged = tallied(Tally::Diverged),
          .failed = tallied(Tally::Failed)};
}

std::string RunSummary::line() const {
  std::string text = fmt::format("{}: {} already done", counted(trials, "trial"), already_done);
  if (already_diverged > 0) text += fmt::format(" ({} diverged)", already_diverged);
  if (unreadable > 0) text += fmt::format(", {} with an unreadable result", unreadable);
  if (left_alone > 0) text += fmt::format(", {} left alone (failed before)", left_alone);
  if (elsewhere > 0) text += fmt::format(", {} published by another run", elsewhere);
  return text + fmt::format(", {} trained, {} diverged, {} failed", trained, diverged, failed);
}

bool any_unreadable(std::span<const Found> found, const Tally& tally) {
  return count(found, Found::Unreadable) > 0 || tally[Tally::Unreadable] > 0 || tally[Tally::ElsewhereUnreadable] > 0;
}

bool all_well(std::span<const Found> found, const Tally& tally, bool retry_failed) {
  return count(found, Found::Diverged) == 0 && (retry_failed || count(found, Found::FailedBefore) == 0) &&
         tally[Tally::Diverged] == 0 && tally[Tally::Failed] == 0 && tally[Tally::ElsewhereDiverged] == 0;
}

}  // namespace winnow
