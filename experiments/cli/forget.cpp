// `winnow forget`: what no sweep wants any more leaves an output directory. Without --yes it only says what would go.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>

#include "core/error.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/linked_folders.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using Strings = std::vector<std::string>;
using ForgetJson = nlohmann::ordered_json;

// As `--plan` takes it: the start of the file's name says enough.
std::string id_of(const WrittenPlan& plan) {
  const std::string stem = plan.path.stem().string();
  return plan.written.empty() ? plan.path.filename().string() : stem.substr(0, 8);
}

// The most that there is of a trial.
struct TrialLeft {
  const char* what;  // "result"
  std::string name;
};

// What goes with a plan, of trials that no other plan has.
struct GoesToo {
  std::size_t checkpoints = 0, stopped = 0, failures = 0;  // trials with
  std::int64_t furthest = 0;                               // step that one of them is saved at
  std::string text() const {
    std::vector<std::string> parts;
    if (checkpoints > 0) {
      parts.push_back(fmt::format("checkpoints of {} (saved up to step {})", counted(checkpoints, "trial"), furthest));
    }
    if (stopped > 0) parts.push_back(fmt::format("{} stopped by a rule", counted(stopped, "trial")));
    if (failures > 0) parts.push_back(counted(failures, "record") + " of failures");
    return parts.empty() ? "" : fmt::format("; removed with it: {}", fmt::join(parts, ", "));
  }
};

class Forgetter {
 public:
  Forgetter(Files& files, fs::path out) : files_(files), out_(std::move(out)) {
    check_output_directory(files_, out_);
    refuse_linked_folders(files_, out_);
    for (const RunningTrial& trial : read_running(files_, out_, unix_now())) {
      if (!trial.stale) in_work_.insert(trial.name);
    }
    const auto names = published_trials(files_, out_);
    published_.insert(names.begin(), names.end());
    plans_ = plans_by_time(read_plans(files_, out_), in_work_);
  }

  // Those that are named, or all of earlier sweeps.
  std::vector<WrittenPlan> choose_plans(const Strings& named) const {
    if (named.empty()) return plans_.earlier;
    std::vector<WrittenPlan> chosen;
    for (const std::string& name : named) chosen.push_back(plan_named(name));
    return chosen;
  }

  TrialLeft find_trial(const std::string& name) const {
    if (in_work_.contains(name)) fail(ErrorKind::Usage, "{} is being trained; stop its run first", name);
    const Layout layout(out_);
    if (published_.contains(name)) return {"result", name};
    if (is_trial_name(name) && files_.exists(layout.failure(name))) return {"failure", name};
    if (is_trial_name(name) && files_.exists(layout.stopped(name))) return {"stopped", name};
    if (is_trial_name(name) && files_.exists(layout.checkpoints(name))) return {"checkpoint", name};
    fail(ErrorKind::Input,
         "{}: has no result, no failure and no checkpoint of '{}'; a trial is named as <id>-r<replicate>",
         out_.string(), name);
  }

  // Of each plan, where these are forgotten.
  std::vector<GoesToo> beside(const std::vector<WrittenPlan>& plans) const {
    std::set<std::string> kept, stopped, failed, saved;
    for (const auto* part : {&plans_.current, &plans_.earlier}) {
      for (const WrittenPlan& plan : *part) {
        if (std::ranges::find(plans, plan.path, &WrittenPlan::path) != plans.end()) continue;
        for (const PlannedTrial& trial : plan.trials) kept.insert(trial.name);
      }
    }
    for (std::string& name : stopped_trials(files_, out_)) stopped.insert(std::move(name));
    for (const FailureRecord& failure : read_failures(files_, out_)) failed.insert(failure.name);
    for (std::string& name : files_.list(Layout(out_).checkpoints())) saved.insert(std::move(name));
    std::vector<GoesToo> all;
    for (const WrittenPlan& plan : plans) {
      GoesToo& too = all.emplace_back();
      for (const PlannedTrial& trial : plan.trials) {
        if (kept.contains(trial.name)) continue;
        too.stopped += stopped.contains(trial.name) ? 1 : 0;
        too.failures += failed.contains(trial.name) ? 1 : 0;
        const auto step = saved.contains(trial.name) ? CheckpointFolder(files_, out_, trial.name).newest_step()
                                                     : std::optional<std::int64_t>();
        if (!step) continue;
        ++too.checkpoints;
        too.furthest = std::max(too.furthest, *step);
      }
    }
    return all;
  }

  // Also of what is forgotten since; `beside` is of before.
  void describe(const std::vector<WrittenPlan>& plans, const std::vector<GoesToo>& beside,
                const std::vector<TrialLeft>& trials, std::ostream& out) const {
    for (std::size_t i = 0; i < plans.size(); ++i) {
      const WrittenPlan& plan = plans[i];
      out << fmt::format("  plan {}  {}  {}, {} with a result, which stays{}\n", id_of(plan),
                         plan.written.empty() ? "of an older winnow" : "last run " + plan.written,
                         counted(plan.trials.size(), "trial"), results_of(plan), beside[i].text());
    }
    for (const TrialLeft& trial : trials) out << fmt::format("  {} {}\n", trial.what, trial.name);
  }

  ForgetJson json(const std::vector<WrittenPlan>& plans, const std::vector<GoesToo>& beside,
                  const std::vector<TrialLeft>& trials, bool removed) const {
    ForgetJson json = {
        {"schema", "winnow-forget"}, {"schema_version", "1.1"}, {"out", out_.string()}, {"removed", removed}};
    json["plans"] = json["trials"] = ForgetJson::array();
    for (std::size_t i = 0; i < plans.size(); ++i) {
      const WrittenPlan& plan = plans[i];
      json["plans"].push_back({{"id", id_of(plan)},
                               {"last_run", plan.written.empty() ? ForgetJson() : ForgetJson(plan.written)},
                               {"trials", plan.trials.size()},
                               {"results", results_of(plan)},
                               {"checkpoints", beside[i].checkpoints},
                               {"stopped", beside[i].stopped},
                               {"failures", beside[i].failures}});
    }
    for (const TrialLeft& trial : trials) json["trials"].push_back({{"name", trial.name}, {"what", trial.what}});
    return json;
  }

  void forget(const std::vector<WrittenPlan>& plans, const std::vector<TrialLeft>& trials) {
    for (const auto& [what, trial] : trials) {
      forget_failure(files_, out_, trial);
      files_.remove(Layout(out_).trial(trial));
      forget_stopped(files_, out_, trial);
      CheckpointFolder(files_, out_, trial).clear();
    }
    if (!plans.empty()) forget_plans(files_, out_, plans);
  }

 private:
  std::size_t results_of(const WrittenPlan& plan) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(plan.trials, [&](const PlannedTrial& trial) { return published_.contains(trial.name); }));
  }

  const WrittenPlan& plan_named(const std::string& name) const {
    std::vector<const WrittenPlan*> found;
    Strings known;
    for (const auto* part : {&plans_.current, &plans_.earlier}) {
      for (const WrittenPlan& plan : *part) {
        known.push_back(id_of(plan));
        if (plan.path.filename().string().starts_with(name)) found.push_back(&plan);
      }
    }
    if (found.size() != 1) {
      fail(found.empty() ? ErrorKind::Input : ErrorKind::Usage, "{} plan '{}' in {}; there are: {}",
           found.empty() ? "no" : "more than one", name, out_.string(), fmt::join(known, ", "));
    }
    const auto working = std::ranges::find_if(found[0]->trials,
                                              [&](const PlannedTrial& trial) { return in_work_.contains(trial.name); });
    if (working != found[0]->trials.end()) {
      fail(ErrorKind::Usage, "plan {} is being run: {} is in work", id_of(*found[0]), working->name);
    }
    return *found[0];
  }

  Files& files_;
  fs::path out_;
  std::set<std::string> in_work_, published_;
  PlansByTime plans_;
};

Strings texts_of(const po::variables_map& given, const char* option) {
  return given.contains(option) ? given[option].as<Strings>() : Strings();
}

}  // namespace

void add_forget_options(VerbOptions& options) {
  options.add_options()("place", po::value<std::string>(), "output directory of winnow run")(
      "plan", po::value<Strings>()->composing(),
      "ID: this plan, by the start of its file's name in plans/; without it all but the last that was run and those in "
      "work")("trial", po::value<Strings>()->composing(),
              "NAME: the result of this trial, its failure and its checkpoints; no plan unless --plan names it")(
      "yes", "removes; without it winnow only says what would go")("json", "one JSON object");
}

int run_forget(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("forget", args, out);
  if (!given) return 0;
  const fs::path place = place_of(*given);
  PosixFiles files;
  Forgetter forgetter(files, place);
  const Strings trials = texts_of(*given, "trial"), named = texts_of(*given, "plan");
  std::vector<TrialLeft> found;
  for (const std::string& trial : trials) found.push_back(forgetter.find_trial(trial));
  std::vector<WrittenPlan> plans;
  if (trials.empty() || !named.empty()) plans = forgetter.choose_plans(named);
  const std::vector<GoesToo> beside = forgetter.beside(plans);
  const bool yes = given->contains("yes");
  if (yes) forgetter.forget(plans, found);
  if (given->contains("json")) {
    write_json(out, forgetter.json(plans, beside, found, yes));
    return 0;
  }
  if (plans.empty() && found.empty()) {
    out << fmt::format("{}: nothing to forget; the plan that was last run and those in work stay\n", place.string());
    return 0;
  }
  out << (yes ? "removed from " : "would be removed from ") << place.string() << "\n";
  forgetter.describe(plans, beside, found, out);
  if (!yes) out << "nothing is removed without --yes\n";
  return 0;
}

}  // namespace winnow
