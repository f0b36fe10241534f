#include "experiments/results/status.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"
#include "tests/results/faulty_files.h"
#include "tests/results/said_by.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

TEST(Failures, AreCountedAndForgottenWhenAResultAppears) {
  TemporaryFolder folder;
  PosixFiles files;
  const TrialResult trial = sample_trial();
  record_failure(files, folder.path(), trial.spec, "first\nreason");
  record_failure(files, folder.path(), trial.spec, "second reason");
  const auto failures = read_failures(files, folder.path());
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].reason, "second reason");
  EXPECT_EQ(failures[0].attempts, 2);
  publish(files, folder.path(), trial, kCreated);
  EXPECT_TRUE(read_failures(files, folder.path()).empty());
}

TEST(Progress, IsThereWhileTheTrialRunsAndStaleWhenItsProcessIsGone) {
  TemporaryFolder folder;
  PosixFiles files;
  const TrialSpec spec = sample_trial().spec;
  {
    ProgressFile progress(files, folder.path(), spec, 2);
    auto running = read_running(files, folder.path(), unix_now());
    ASSERT_EQ(running.size(), 1u);
    EXPECT_EQ(running[0].name, spec.name());
    EXPECT_EQ(running[0].label, "lenet300/rigl/0.1");
    EXPECT_EQ(running[0].ranks, 2);
    EXPECT_FALSE(running[0].stale);
    running = read_running(files, folder.path(), unix_now() + 91);
    EXPECT_TRUE(running[0].stale) << "no heartbeat for 91 s";
  }
  EXPECT_TRUE(read_running(files, folder.path(), unix_now()).empty());

  const pid_t child = ::fork();
  if (child == 0) {
    new ProgressFile(files, folder.path(), spec, 1);  // never destroyed: the process is killed
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  const auto running = read_running(files, folder.path(), unix_now());
  ASSERT_EQ(running.size(), 1u);
  EXPECT_TRUE(running[0].stale);
}

TEST(Progress, ARunRemovesItsOwnHeartbeatOnly) {
  TemporaryFolder folder;
  PosixFiles files;
  const TrialSpec spec = sample_trial().spec;
  auto ours = std::make_unique<ProgressFile>(files, folder.path(), spec, 1);
  const ProgressFile theirs(files, folder.path(), spec, 1);
  ours.reset();
  EXPECT_EQ(read_running(files, folder.path(), unix_now()).size(), 1u);
}

TEST(Notes, OfAnotherJsonTypeAreDamagedAndNoBug) {
  TemporaryFolder folder;
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  const auto path = Layout(folder.path()).trial(sample_trial(1, "dense", "1").spec.name());
  const auto whole = files.read(path);
  for (const char* note : {R"({"schema": 1})", R"({"schema": "winnow-trial", "schema_version": 1})", "[]", "null", "x",
                           R"({"schema": "winnow-trial", "schema_version": "1.0", "name": {}})",
                           R"({"schema": "winnow-trial", "schema_version": "1.0", "seconds": "long"})"}) {
    const auto image = unsealed(whole).image;
    files.replace(path, std::span<const std::byte>(sealed({image.begin(), image.end()}, note)));
    const SweepStatus status = read_status(files, folder.path(), unix_now());
    ASSERT_EQ(status.damaged.size(), 1u) << note;
    EXPECT_NE(status.damaged[0].reason.find(path.string()), std::string::npos) << status.damaged[0].reason;
  }
  for (const char* record : {"[]", R"({"attempts": "many"})", R"({"reason": 7})"}) {
    files.replace(Layout(folder.path()).failure(sample_trial(4, "snip", "0.02", 2).spec.name()), record);
    const auto failures = read_failures(files, folder.path());
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0].reason, "its failure record is damaged") << record;
    files.replace(Layout(folder.path()).progress(sample_trial(5, "snip", "0.05", 0).spec.name()), record);
    EXPECT_EQ(read_running(files, folder.path(), unix_now()).at(0).stale, true) << record;
  }
}

TEST(Status, AHeartbeatOfNumbersThatNobodyHasIsAStaleOneWithoutThem) {
  TemporaryFolder folder;
  PosixFiles files;
  const std::int64_t now = unix_now();
  const auto read = [&](const std::string& field, const std::string& value) {
    nlohmann::json record = {{"updated", now}, {"ranks", 2}, {"step", 3}, {"steps", 10}, {"label", "dense"}};
    record[field] = nlohmann::json::parse(value);
    files.replace(Layout(folder.path()).progress("t-r0"), record.dump());
    return read_running(files, folder.path(), now).at(0);
  };
  EXPECT_FALSE(read("from", "0").stale);
  EXPECT_FALSE(read("updated", std::to_string(now + 500)).stale) << "a clock that is ahead";
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, std::string>>{{"ranks", "-2147483648"},
                                                        {"ranks", "0"},
                                                        {"step", "-1"},
                                                        {"steps", "9223372036854775807"},
                                                        {"from", "-1"},
                                                        {"updated", std::to_string(now + 601)},
                                                        {"updated", "-9223372036854775808"},
                                                        {"updated", "9223372036854775807"},
                                                        {"started", "-1"},
                                                        {"images_per_second", "1e300"},
                                                        {"images_per_second", "-1"}}) {
    const RunningTrial trial = read(field, value);
    EXPECT_TRUE(trial.stale) << field << " " << value;
    EXPECT_EQ(trial.name, "t-r0");
    if (field == "updated") continue;
    EXPECT_EQ(std::pair(trial.ranks, trial.progress.steps), std::pair(1, std::int64_t{0})) << field << " " << value;
  }
}

// Most notes are read by a short way of their own; however a note is spelled, it says the same.
TEST(Notes, SayTheSameHoweverTheyAreSpelled) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto path = folder.path() / "a-r0.h5";
  const auto write = [&](const std::string& note) {
    files.replace(path, std::span<const std::byte>(sealed(std::vector<std::byte>(1000), note)));
  };
  const auto note_with = [](const std::string& seconds, const std::string& rest) {
    return R"({"schema":"winnow-trial","schema_version":"1.4","name":"a-r0","state":"diverged","created":)"
           R"("2026-11-21T12:00:00Z","seconds":)" +
           seconds + rest;
  };
  const std::string record = R"(,"record":{"version":1,"bytes":24000,"crc32":4000000000}})";
  for (const auto& [text, seconds] :
       std::map<std::string, double>{{"0.0", 0}, {"12.5", 12.5}, {"1e-07", 1e-7}, {"3", 3}}) {
    const std::string plain = note_with(text, record);
    for (const std::string& note : {plain, note_with(text, "}"), nlohmann::json::parse(plain).dump(2),
                                    note_with(text, R"(,"remark":"\u0041)" + std::string(900, 'x') + "\"}")}) {
      write(note);
      const TrialNote read = read_note(files, path);
      EXPECT_EQ(read.name, "a-r0") << note;
      EXPECT_EQ(read.outcome, Outcome::Diverged) << note;
      EXPECT_EQ(read.created, "2026-11-21T12:00:00Z") << note;
      EXPECT_EQ(read.seconds, seconds) << note;
    }
  }
  std::string broken = note_with("1.0", record);
  broken[broken.find("a-r0")] = '\x01';
  for (const std::string& note :
       {broken, note_with("inf", record), note_with("1.0", ""), note_with("1.0", record + "}")}) {
    write(note);
    EXPECT_THROW(read_note(files, path), Error) << note;
  }
}

TEST(Progress, AFullDiskDoesNotDisturbTheTrial) {
  TemporaryFolder folder;
  for (int at = 0; at < 8; ++at) {
    FaultyFiles files(Fault::NoSpace, at);
    ProgressFile progress(files, folder.path(), sample_trial().spec, 1);
    progress.update({});
  }
}

TEST(Status, CountsEveryTrialOnce) {
  TemporaryFolder folder;
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  ProgressFile running(files, folder.path(), sample_trial(5, "snip", "0.05", 0).spec, 1);
  SweepStatus status = read_status(files, folder.path(), unix_now());
  EXPECT_EQ(status.planned, 13u);
  EXPECT_EQ(status.done.size(), 10u);
  EXPECT_EQ(status.diverged.size(), 1u);
  EXPECT_EQ(status.failed.size(), 1u);
  EXPECT_EQ(status.running.size(), 1u);
  EXPECT_EQ(status.missing.size(), 0u);
  EXPECT_NEAR(status.mean_seconds, 12.5, 1e-9);
  ASSERT_TRUE(status.seconds_left);
  EXPECT_NEAR(*status.seconds_left, 25, 1e-9);  // the failed one and the running one, one at a time
  // 11 results of 12.5 s each at one moment.
  EXPECT_NEAR(*status.trials_per_hour, 11 * 3600 / 12.5, 1e-6);
  status = read_status(files, folder.path(), unix_now() + 1000);
  EXPECT_EQ(status.stale.size(), 1u);
  EXPECT_EQ(status.missing.size(), 1u);
}

// A heartbeat as the process of another host wrote it.
void write_heartbeat(Files& files, const std::filesystem::path& out, const std::string& name, int step, int seconds) {
  const std::int64_t now = unix_now();
  files.replace(Layout(out).progress(name), nlohmann::json({{"label", "lenet300/snip/0.05"},
                                                            {"host", "elsewhere"},
                                                            {"started", now - seconds},
                                                            {"updated", now},
                                                            {"step", step},
                                                            {"steps", 100},
                                                            {"images_per_second", 4000}})
                                                .dump());
}

TEST(Status, TimeLeftComesFromTrialsThatTrainedAndFromThoseInWork) {
  TemporaryFolder folder;
  PosixFiles files;
  TrialResult diverged = sample_trial(1, "snip", "0.05", 0);
  diverged.outcome = Outcome::Diverged;
  diverged.summary["seconds.total"] = 0.5;
  publish(files, folder.path(), diverged, kCreated);
  std::vector<PlannedTrial> plan;
  for (int replicate = 0; replicate < 4; ++replicate)
    plan.push_back(planned(sample_trial(1, "snip", "0.05", replicate).spec));
  write_plan(files, folder.path(), plan);
  write_heartbeat(files, folder.path(), plan[1].name, 0, 0);
  EXPECT_FALSE(read_status(files, folder.path(), unix_now()).seconds_left) << "a diverged trial ended early";
  write_heartbeat(files, folder.path(), plan[1].name, 25, 10);  // 30 s to go, and two more of 40 s
  SweepStatus status = read_status(files, folder.path(), unix_now());
  ASSERT_TRUE(status.seconds_left);
  EXPECT_NEAR(*status.seconds_left, 110, 1e-9);
  EXPECT_EQ(status.mean_seconds, 0);
  publish(files, folder.path(), sample_trial(1, "snip", "0.05", 2), kCreated);  // 12.5 s
  status = read_status(files, folder.path(), unix_now());
  EXPECT_NEAR(*status.seconds_left, 30 + 12.5, 1e-9);
}

TEST(Status, ADamagedResultIsNamedAndDoesNotCountAsDone) {
  TemporaryFolder folder;
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  const auto path = Layout(folder.path()).trial(sample_trial(1).spec.name());
  const auto whole = files.read(path);
  files.replace(path, std::span(whole).first(whole.size() / 2));
  const SweepStatus status = read_status(files, folder.path(), unix_now());
  EXPECT_EQ(status.done.size(), 9u);
  ASSERT_EQ(status.damaged.size(), 1u);
  const Survey survey = gather_survey(files, folder.path());
  EXPECT_EQ(survey.missing[0].state, "damaged");
}

TEST(Status, TheScreenAndTheJsonAgree) {
  TemporaryFolder folder;
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  std::ostringstream text, json, errors;
  EXPECT_EQ(run_status(std::vector{folder.path().string()}, text, errors), 0);
  EXPECT_EQ(run_status(std::vector{folder.path().string(), std::string("--json")}, json, errors), 0);
  EXPECT_EQ(text.str().find("done 10  diverged 1  failed 1  running 0  missing 1  of 13   84 %\n"), 0u) << text.str();
  EXPECT_NE(text.str().find("out of memory  (1 attempt)"), std::string::npos);
  EXPECT_NE(text.str().find("\n  a5000000000000000005-r0  lenet300/snip/0.05\n"), std::string::npos) << text.str();
  const auto parsed = nlohmann::json::parse(json.str());
  EXPECT_EQ(parsed["done"], 10);
  EXPECT_EQ(parsed["failed"][0]["reason"], "out of memory");
  EXPECT_EQ(parsed["missing"].size(), 1u);
}

TEST(Status, SaysFromWhichStepTrialsWithoutAResultGoOn) {
  TemporaryFolder folder;
  PosixFiles files;
  const TrialSpec done = sample_trial(1).spec, begun = sample_trial(2).spec, untouched = sample_trial(3).spec;
  write_plan(files, folder.path(), std::vector{planned(done), planned(begun), planned(untouched)});
  for (const TrialSpec& spec : {done, begun}) {
    CheckpointFolder kept(files, folder.path(), spec.name());
    for (const std::int64_t step : {40, 80}) {
      kept.keep(encode_checkpoint({.trial = spec.name(), .writer = "", .precision = "", .step = step}, {}));
    }
  }
  publish(files, folder.path(), sample_trial(1), kCreated);
  const std::map<std::string, std::int64_t> expected = {{begun.name(), 80}};
  EXPECT_EQ(read_status(files, folder.path(), unix_now()).saved, expected);
  const std::string out = folder.path().string(), screen = said_by(run_status, {out});
  EXPECT_NE(screen.find("  saved at step 80"), std::string::npos) << screen;
  const auto json = nlohmann::json::parse(said_by(run_status, {out, "--json"}));
  EXPECT_EQ(json["missing"].size(), 2u);
  for (const auto& trial : json["missing"]) {
    EXPECT_EQ(trial["saved_step"], trial["name"] == begun.name() ? nlohmann::json(80) : nlohmann::json());
  }
  // Its newest is damaged: the one before counts.
  const auto newest = Layout(folder.path()).checkpoints(begun.name()) / "00000002.ck";
  files.remove(newest);
  std::ofstream(newest) << "nothing";
  EXPECT_EQ(read_status(files, folder.path(), unix_now()).saved.at(begun.name()), 40);
}

TEST(Status, WrongArgumentsAndAMissingDirectoryAreErrors) {
  std::ostringstream text, errors;
  const auto kind = [&](const std::vector<std::string>& args) {
    try {
      run_status(args, text, errors);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::Internal;
  };
  EXPECT_EQ(kind({"--nonsense"}), ErrorKind::Usage);
  EXPECT_EQ(kind({"a", "b"}), ErrorKind::Usage);
  EXPECT_EQ(kind({"/nowhere/at/all"}), ErrorKind::Input);
}

}  // namespace
}  // namespace winnow::test
