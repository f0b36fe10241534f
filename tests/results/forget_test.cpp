// Plans of other times: what status says of their trials, and what winnow forget removes.
#include "experiments/results/status.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "tests/results/faulty_files.h"
#include "tests/results/said_by.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

// Changes the time at which a plan was last run.
void date_plan(Files& files, const std::filesystem::path& path, const std::string& written) {
  std::string text = text_of(files.read(path));
  const std::size_t at = text.find("# written ") + 10;
  files.replace(path, text.replace(at, text.find('\n', at) - at, written));
}

// The sample, planned long ago, and a plan of two trials: one of the sample's results, and one that is missing.
std::vector<PlannedTrial> write_two_plans(Files& files, const std::filesystem::path& out) {
  write_sample_sweep(files, out);
  date_plan(files, read_plans(files, out).front().path, "2020-01-01T00:00:00Z");
  std::vector<PlannedTrial> newer{planned(sample_trial(1, "dense", "1", 0).spec),
                                  planned(sample_trial(6, "set", "0.1", 0).spec)};
  write_plan(files, out, newer);
  return newer;
}

TEST(Status, TrialsOfAnEarlierPlanStandApart) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto newer = write_two_plans(files, folder.path());
  const std::string out = folder.path().string();
  const SweepStatus all = read_status(files, folder.path(), unix_now());
  EXPECT_EQ(std::tuple(all.planned, all.done.size(), all.earlier.size()), std::tuple(14u, 10u, 12u));
  const SweepStatus now = of_current_plans(all);
  EXPECT_EQ(std::tuple(now.planned, now.done.size(), now.failed.size(), now.missing.size()),
            std::tuple(2u, 1u, 0u, 1u));
  const std::string screen = said_by(run_status, {out});
  EXPECT_EQ(screen.find("done 1  diverged 0  failed 0  running 0  missing 1  of 2   50 %\n"), 0u) << screen;
  EXPECT_NE(screen.find("\n12 of an earlier plan, 10 with a result: --all lists them\n"
                        "a run of its sweep goes on with the others; winnow forget gives them up\n"),
            std::string::npos)
      << screen;
  EXPECT_EQ(said_by(run_status, {out, "--all"}).find("done 10  diverged 1  failed 1  running 0  missing 2  of 14"), 0u);
  const auto json = nlohmann::json::parse(said_by(run_status, {out, "--json"}));
  EXPECT_EQ(json["planned"], 14);
  EXPECT_EQ(json["earlier"].size(), 12u);

  // A plan that is in work is one of now: the other tasks of an array job.
  const ProgressFile running(files, folder.path(), sample_trial(5, "snip", "0.05", 0).spec, 1);
  EXPECT_EQ(read_status(files, folder.path(), unix_now()).earlier.size(), 0u);
}

TEST(Forget, ShowsFirstAndKeepsResultsAndThePlanOfNow) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto newer = write_two_plans(files, folder.path());
  const std::string out = folder.path().string();
  const std::string shown = said_by(run_forget, {out});
  EXPECT_NE(shown.find("2020-01-01T00:00:00Z  13 trials, 11 with a result, which stays"), std::string::npos) << shown;
  EXPECT_NE(shown.find("nothing is removed without --yes"), std::string::npos);
  EXPECT_EQ(read_plan(files, folder.path()).size(), 14u) << "only shown";
  said_by(run_forget, {out, "--yes"});
  EXPECT_EQ(read_plan(files, folder.path()), newer);
  EXPECT_EQ(published_trials(files, folder.path()).size(), 11u);
  EXPECT_TRUE(read_failures(files, folder.path()).empty());
  EXPECT_EQ(read_status(files, folder.path(), unix_now()).earlier.size(), 10u) << "results that no plan has";
  EXPECT_NE(said_by(run_forget, {out}).find("nothing to forget"), std::string::npos);
}

TEST(Forget, ByNameAResultOrThePlanOfNow) {
  TemporaryFolder folder;
  PosixFiles files;
  write_two_plans(files, folder.path());
  const std::string out = folder.path().string();
  const std::string result = sample_trial(1, "dense", "1", 0).spec.name(),
                    failure = sample_trial(4, "snip", "0.02", 2).spec.name();
  EXPECT_NE(said_by(run_forget, {out, "--trial", result}).find("  result " + result), std::string::npos);
  EXPECT_EQ(published_trials(files, folder.path()).size(), 11u) << "only shown";
  said_by(run_forget, {out, "--trial", result, "--trial", failure, "--yes"});
  EXPECT_EQ(published_trials(files, folder.path()).size(), 10u);
  EXPECT_TRUE(read_failures(files, folder.path()).empty());
  EXPECT_EQ(read_plan(files, folder.path()).size(), 14u);

  const std::string newest = read_plans(files, folder.path()).front().path.stem().string();
  const auto refused = [&](const std::vector<std::string>& args) {
    std::ostringstream text, errors;
    try {
      run_forget(args, text, errors);
    } catch (const Error& error) {
      return fmt::format("{}: {}", static_cast<int>(error.kind()), error.what());
    }
    return std::string();
  };
  files.replace(folder.path() / "x.json", "{}");
  EXPECT_NE(refused({out, "--trial", "../x", "--yes"}).find("no result, no failure and no checkpoint"),
            std::string::npos);
  EXPECT_NE(refused({out, "--trial", result, "--yes"}).find("no result, no failure and no checkpoint"),
            std::string::npos);
  EXPECT_TRUE(refused({out, "--plan", "zzz"}).starts_with("66: no plan 'zzz'"));
  EXPECT_NE(refused({"/nowhere/at/all"}).find("no such directory"), std::string::npos);
  {
    const ProgressFile running(files, folder.path(), sample_trial(6, "set", "0.1", 0).spec, 1);
    EXPECT_NE(refused({out, "--plan", newest, "--yes"}).find("is in work"), std::string::npos);
  }
  said_by(run_forget, {out, "--plan", newest.substr(0, 6), "--yes"});
  EXPECT_EQ(read_plan(files, folder.path()).size(), 13u);
}

TEST(Forget, KilledAtAnyOperationWholePlansAreLeftAndItCanBeCalledAgain) {
  const auto prepare = [](const std::filesystem::path& out) {
    PosixFiles sound;
    const std::vector old{planned(sample_trial(1).spec), planned(sample_trial(2).spec)};
    write_plan(sound, out, old);
    date_plan(sound, read_plans(sound, out).front().path, "2020-01-01T00:00:00Z");
    record_failure(sound, out, sample_trial(1).spec, "a reason");
    for (const int number : {1, 3}) {
      const std::string name = sample_trial(number).spec.name();
      CheckpointFolder(sound, out, name).keep(encode_checkpoint({.trial = name, .writer = "", .precision = ""}, {}));
    }
    write_plan(sound, out, std::vector{planned(sample_trial(3).spec)});
  };
  const auto forget = [](Files& files, const std::filesystem::path& out) {
    PosixFiles sound;
    forget_plans(files, out, plans_by_time(read_plans(sound, out), {}).earlier);
  };
  FaultyFiles counting;
  {
    TemporaryFolder folder;
    prepare(folder.path());
    forget(counting, folder.path());
  }
  for (const Fault fault : {Fault::DieBefore, Fault::DieHalfWay, Fault::NoSpace, Fault::InputOutput}) {
    for (int at = 0; at < counting.operations(); ++at) {
      TemporaryFolder folder;
      PosixFiles sound;
      prepare(folder.path());
      FaultyFiles files(fault, at);
      EXPECT_ANY_THROW(forget(files, folder.path())) << at;
      const auto left = read_plan(sound, folder.path());
      EXPECT_TRUE(left.size() == 3 || left.size() == 1) << at << ": " << left.size();
      forget(sound, folder.path());
      EXPECT_EQ(read_plan(sound, folder.path()), std::vector{planned(sample_trial(3).spec)});
      EXPECT_TRUE(read_failures(sound, folder.path()).empty());
      EXPECT_EQ(sound.list(Layout(folder.path()).checkpoints()), std::vector{sample_trial(3).spec.name()});
    }
  }
}

}  // namespace
}  // namespace winnow::test
