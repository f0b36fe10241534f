#include "experiments/verify/verify.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/state_bytes.h"
#include "experiments/need_role.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/container.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/shard_plan.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/submit/submission.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;

class Verifier {
 public:
  explicit Verifier(Files& files) : files_(files) {}

  void check_results(const std::vector<fs::path>& paths, const VerifyProgress& said) {
    std::size_t done = 0;
    const auto count = [&] {
      ++found_.results;
      if (said) said(++done, paths.size());
    };
    examine_trials(
        files_, paths,
        [&](std::size_t i, const ReadTrial& trial) {
          count();
          guarded([&] {
            check_owner(paths[i], trial.header.name);
            whole_[trial.header.name] = {paths[i], trial.header.content_digest, trial.result.lineage};
          });
        },
        [&](std::size_t i, const Error& error) {
          count();
          if (!is_unreadable(error)) throw error;
          damaged_.insert(paths[i].stem().string());
          found_.faults.emplace_back(error.what());
        });
  }

  // The results that a trial was trained from, as they were then. A start file may lie anywhere.
  void check_needs() {
    for (const auto& [name, trial] : whole_) {
      for (const auto& [role, digest] : trial.lineage) {
        constexpr std::string_view kDigest = ".digest";
        if (!role.ends_with(kDigest) || role == "start.digest") continue;
        const std::string what = role.substr(0, role.size() - kDigest.size());
        const auto needed = trial.lineage.find(what);
        if (needed == trial.lineage.end()) continue;
        const auto there = whole_.find(needed->second);
        if (there == whole_.end()) {
          fault(trial.path, "its {} {} {}", word_of_role(what), needed->second,
                damaged_.contains(needed->second) ? "is damaged" : "has no result here");
        } else if (there->second.digest != digest) {
          fault(trial.path, "its {} {} was another result when this one was trained", word_of_role(what),
                needed->second);
        }
      }
    }
  }

  void check_journal(const fs::path& path) {
    ++found_.journals;
    guarded([&] {
      const Journal journal = read_journal(files_, path);
      found_.faults.insert(found_.faults.end(), journal.damaged.begin(), journal.damaged.end());
      for (const nlohmann::json& record : journal.records) {
        const auto kind = record.find("kind"), time = record.find("time");
        if (kind == record.end() || !kind->is_string() || time == record.end() || !time->is_number()) {
          return fault(path, "has a record without kind or time");
        }
      }
    });
  }

  // `trial`: "": not known.
  void check_checkpoint(const fs::path& path, const std::string& trial) {
    guarded([&] {
      std::vector<std::byte> bytes;
      try {
        bytes = files_.read(path);
      } catch (const Error&) {
        if (files_.exists(path)) throw;
        return;  // a run that is at work has removed it
      }
      ++found_.checkpoints;
      const Checkpoint checkpoint = decode_checkpoint(std::move(bytes), path.string());
      MemoryState state;
      add_blocks(state, checkpoint.state, path.string());
      if (!trial.empty() && checkpoint.note.trial != trial) fault(path, "is of the trial {}", checkpoint.note.trial);
    });
  }

  void check_checkpoints(const Layout& layout) {
    for (const std::string& trial : files_.list(layout.checkpoints())) {
      for (const std::string& name : files_.list(layout.checkpoints(trial))) {
        if (name.ends_with(".ck")) check_checkpoint(layout.checkpoints(trial) / name, trial);
        if (name.ends_with(".crash")) ++found_.records;
      }
      guarded([&] {
        for (const fs::path& path : CheckpointFolder(files_, layout.root(), trial).damaged_crashes()) {
          fault(path, "is no note of a crash");
        }
      });
    }
  }

  // False: they cannot be read, so nobody knows what is missing.
  bool check_plans(const fs::path& out) {
    return guarded([&] {
      for (const WrittenPlan& plan : read_plans(files_, out)) {
        ++found_.plans;
        if (plan.path == Layout(out).plan()) continue;  // made of the others
        if (const auto what = plan_fault(plan)) fault(plan.path, "{}", *what);
      }
    });
  }

  // What only says how it came to results.
  void check_records(const Layout& layout) {
    each_file(layout.sweeps(), ".yaml", [&](const fs::path& path) {
      if (archive_name(read_text(files_, path)) != path.filename()) fault(path, "is not the text that it is named by");
    });
    each_file(layout.shards(), ".tsv", [&](const fs::path& path) { check_shards(files_, path); });
    for (const FailureRecord& failure : read_failures(files_, layout.root())) {
      ++found_.records;
      if (failure.damaged) fault(layout.failure(failure.name), "is no record of a failure");
    }
    guarded([&] { found_.records += read_submissions(files_, layout.root()).size(); });
  }

  void check_complete(const fs::path& out) {
    SweepStatus status = read_status(files_, out, unix_now());
    found_.planned = status.planned;
    for (auto& trial : status.failed) found_.missing.push_back({trial.name, "failed", trial.reason, ""});
    for (auto& trial : status.running) found_.missing.push_back({trial.name, "running", "", trial.label});
    for (auto& trial : status.missing) found_.missing.push_back({trial.name, "missing", "", trial.canonical});
  }

  // Against the results beside it, unless it is alone.
  void check_survey(const fs::path& path, bool alone) {
    ++found_.surveys;
    guarded([&] {
      const Survey survey = read_survey(files_, path);
      if (alone) return;
      std::set<std::string> rows;
      std::size_t went_on = 0;  // rows of trials that a rule had stopped then
      for (std::size_t row = 0; row < rows_of(survey.trials); ++row) {
        const std::string name = cell_text(survey.trials, "name", row);
        if (!rows.insert(name).second) fault(path, "has two rows of {}", name);
        if (damaged_.contains(name)) continue;
        const auto result = whole_.find(name);
        const bool same =
            result != whole_.end() && result->second.digest == cell_text(survey.trials, "content_digest", row);
        if (same) continue;
        if (cell_text(survey.trials, "state", row) == name_of(Outcome::Stopped)) {
          ++went_on;
        } else if (result == whole_.end()) {
          if (files_.exists(Layout(path.parent_path()).trial(name))) continue;  // newer than this look at results
          fault(path, "has a row of {}, which has no result here", name);
        } else {
          fault(path, "its row of {} is of another result than there is", name);
        }
      }
      const auto newer = went_on + static_cast<std::size_t>(std::ranges::count_if(
                                       whole_, [&](const auto& trial) { return !rows.contains(trial.first); }));
      if (newer > 0) {
        found_.notes.push_back(
            fmt::format("{}: is older than {}; winnow collect makes it anew", path.string(), counted(newer, "result")));
      }
    });
  }

  Verification take() { return std::move(found_); }

 private:
  template <class Look>
  void each_file(const fs::path& folder, std::string_view ending, Look&& look) {
    for (const std::string& name : files_.list(folder)) {
      if (!name.ends_with(ending)) continue;
      ++found_.records;
      guarded([&] { look(folder / name); });
    }
  }

  struct Whole {
    fs::path path;
    std::string digest;
    std::map<std::string, std::string> lineage;
  };

  template <class... Args>
  void fault(const fs::path& path, fmt::format_string<Args...> what, Args&&... args) {
    found_.faults.push_back(path.string() + ": " + fmt::format(what, std::forward<Args>(args)...));
  }

  // A file that cannot be read is a fault, and the others are looked at.
  template <class Work>
  bool guarded(Work&& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      if (!is_unreadable(error)) throw;
      found_.faults.emplace_back(error.what());
      return false;
    }
  }

  Files& files_;
  Verification found_;
  std::map<std::string, Whole> whole_;  // by trial
  std::set<std::string> damaged_;
};

bool is_survey(Files& files, const fs::path& path) {
  try {
    return trials_in_survey(files, path).has_value();
  } catch (const Error&) {  // said by who reads it next
    return false;
  }
}

}  // namespace

Verification verify_directory(Files& files, const fs::path& out, const VerifyProgress& said) {
  check_output_directory(files, out);
  const Layout layout(out);
  Verifier verifier(files);
  std::vector<fs::path> results;
  for (const std::string& name : published_trials(files, out)) results.push_back(layout.trial(name));
  for (const std::string& name : stopped_trials(files, out)) results.push_back(layout.stopped(name));
  verifier.check_results(results, said);
  verifier.check_needs();
  if (verifier.check_plans(out)) verifier.check_complete(out);
  for (const fs::path& path : journals(files, out)) verifier.check_journal(path);
  verifier.check_checkpoints(layout);
  verifier.check_records(layout);
  for (const std::string& name : files.list(out)) {
    if (name.ends_with(".h5")) verifier.check_survey(out / name, false);
  }
  return verifier.take();
}

Verification verify_files(Files& files, const std::vector<fs::path>& paths) {
  Verifier verifier(files);
  for (const fs::path& path : paths) {
    const std::string ending = path.extension().string();
    if (ending == ".jnl") {
      verifier.check_journal(path);
    } else if (ending == ".ck") {
      verifier.check_checkpoint(path, "");
    } else if (ending != ".h5") {
      fail(ErrorKind::Usage,
           "{}: verify takes an output directory of winnow run, or files NAME.h5 (results, surveys), NAME.ck "
           "(checkpoints) and NAME.jnl (journals)",
           path.string());
    } else if (is_survey(files, path)) {
      verifier.check_survey(path, true);
    } else {
      verifier.check_results({path}, {});
    }
  }
  return verifier.take();
}

}  // namespace winnow
