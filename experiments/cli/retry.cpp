// `winnow retry`: trials that failed, or were given up after crashes, lose the marks of that, and count as missing again.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/error.h"
#include "experiments/cli/chosen_trials.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/linked_folders.h"
#include "experiments/run/sweep_state.h"
#include "experiments/text.h"

namespace winnow {
namespace {

// What makes a trial one that failed, or one that the next run gives up.
struct TrialMarks {
  std::string name, reason;
  int attempts = 0;
  std::size_t crashes = 0;
};

// `by_name`: crashes that are too few to give it up are a mark, too.
std::optional<TrialMarks> marks_of(Files& files, const std::filesystem::path& out, const std::string& name,
                                   const FailureRecord* failure, bool by_name) {
  if (files.exists(Layout(out).trial(name))) return std::nullopt;
  CheckpointFolder folder(files, out, name);
  TrialMarks marks{.name = name, .reason = {}, .attempts = failure == nullptr ? 0 : failure->attempts};
  marks.crashes = folder.crashes();
  const auto given_up = marks.crashes == 0 ? std::nullopt : folder.given_up();
  if (failure == nullptr && !given_up && !(by_name && marks.crashes > 0)) return std::nullopt;
  marks.reason = failure != nullptr ? failure->reason : given_up.value_or("its process died");
  return marks;
}

std::vector<TrialMarks> find_marks(Files& files, const ChosenTrials& chosen) {
  std::map<std::string, FailureRecord> failures;
  for (FailureRecord& failure : read_failures(files, chosen.out)) failures.emplace(failure.name, std::move(failure));
  std::set<std::string> names;
  for (const auto& [name, failure] : failures) names.insert(name);
  for (const std::string& name : files.list(Layout(chosen.out).checkpoints())) names.insert(name);
  std::vector<TrialMarks> found;
  for (const std::string& name : names) {
    if (!chosen.has(name)) continue;
    const auto failure = failures.find(name);
    const auto* record = failure == failures.end() ? nullptr : &failure->second;
    if (auto marks = marks_of(files, chosen.out, name, record, chosen.by_name)) found.push_back(std::move(*marks));
  }
  return found;
}

// Jobs go on where jobs trained before.
std::string next_command(Files& files, const ChosenTrials& chosen) {
  const bool submitted = !files.list(Layout(chosen.out).submissions()).empty();
  return fmt::format("winnow {} {} -o {}", submitted ? "submit" : "run", chosen.sweep_words,
                     shell_quoted(chosen.out_word));
}

std::string marks_text(const TrialMarks& marks) {
  std::string counts;
  if (marks.attempts > 0) counts = counted(static_cast<std::size_t>(marks.attempts), "attempt");
  if (marks.crashes > 0) counts += (counts.empty() ? "" : ", ") + counted(marks.crashes, "crash note");
  return fmt::format("{}  {}  ({})", marks.name, marks.reason, counts);
}

}  // namespace

void add_retry_options(VerbOptions& options) {
  add_chosen_options(options);
  options.add_options()("dry-run,n", "only shows which marks would be cleared")("json", "one JSON object");
}

int run_retry(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("retry", args, out);
  if (!given) return 0;
  PosixFiles files;
  const ChosenTrials chosen = chosen_trials(files, *given);
  refuse_linked_folders(files, chosen.out);
  const bool dry = given->contains("dry-run");
  std::vector<TrialMarks> cleared, at_work;
  for (TrialMarks& marks : find_marks(files, chosen)) {
    if (is_in_work(files, chosen.out, marks.name)) {
      at_work.push_back(std::move(marks));
      continue;
    }
    if (!dry) {
      // The note of the failure last: killed in between, the same command goes on.
      CheckpointFolder(files, chosen.out, marks.name).forget_crashes();
      forget_failure(files, chosen.out, marks.name);
    }
    cleared.push_back(std::move(marks));
  }
  const std::string next = next_command(files, chosen);
  if (given->contains("json")) {
    nlohmann::ordered_json json = {{"schema", "winnow-retry"}, {"schema_version", "1.0"}, {"dry_run", dry}};
    json["trials"] = json["at_work"] = nlohmann::ordered_json::array();
    for (const TrialMarks& m : cleared) {
      json["trials"].push_back(
          {{"name", m.name}, {"reason", m.reason}, {"attempts", m.attempts}, {"crashes", m.crashes}});
    }
    for (const TrialMarks& m : at_work) json["at_work"].push_back(m.name);
    json["next"] = next;
    write_json(out, json);
    return 0;
  }
  for (const TrialMarks& marks : at_work) out << fmt::format("{}  is being trained; its marks stay\n", marks.name);
  if (cleared.empty()) {
    out << fmt::format("{}: {}\n", chosen.out.string(),
                       at_work.empty() ? "no such trial has failed or was given up" : "nothing else to clear");
    return 0;
  }
  out << fmt::format("{} of {} in {}\n", dry ? "would be cleared: marks" : "cleared: marks",
                     counted(cleared.size(), "trial"), chosen.out.string());
  for (const TrialMarks& marks : cleared) out << "  " << marks_text(marks) << "\n";
  out << "next   " << next << "\n";
  return 0;
}

}  // namespace winnow
