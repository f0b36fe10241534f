// A whole trial that is stopped and goes on from its checkpoint in another process has the result of one that was left
// alone, and whatever is wrong with a checkpoint is said and costs time only.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "core/state_bytes.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "tests/results/faulty_files.h"
#include "tests/training/process.h"
#include "tests/training/whole_trial.h"

namespace winnow::test {
namespace {

// One trial in an output directory of its own.
class KeptTrial {
 public:
  explicit KeptTrial(TrialSpec spec) : spec_(std::move(spec)) {}

  // Nothing: it was stopped before its n-th step, counted in this run.
  std::optional<std::string> run(std::int64_t stop_before = -1, Files* files = nullptr) {
    said_.clear();
    const auto self = make_self();
    const CheckpointPlace place{files != nullptr ? *files : files_, out_.path(),
                                [this](const std::string& line) { said_ += line + "\n"; }};
    RunTrialOptions options;
    options.checkpoints = &place;
    options.stop_requested = [&] { return stop_before-- == 0; };
    options.progress = [](const TrialProgress& at) {
      // Of how many is shown, also when it goes on; before the first step, as a method probes, nobody knows yet.
      EXPECT_LE(at.step, at.steps);
    };
    options.needed = [&](const TrialNeed& need) {
      return sample_needed(TrialSetup(spec_).build(), need.method, need.role, need.role == "of");
    };
    try {
      const TrialResult result = run_trial(spec_, *self, options);
      attempts_ = result.provenance.contains("attempts") ? result.provenance.at("attempts") : "";
      return content_digest(result);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Stopped) << error.what();
      return std::nullopt;
    }
  }
  const std::string& said() const { return said_; }
  const std::string& attempts() const { return attempts_; }
  CheckpointFolder folder() { return {files_, out_.path(), spec_.name()}; }
  Checkpoint newest() {
    std::vector<std::string> problems;
    return folder().newest(problems).value();
  }
  // The newest one with another note or state.
  void change(const std::function<void(Checkpoint&)>& how) {
    Checkpoint now = newest();
    how(now);
    folder().keep(encode_checkpoint(now.note, now.state));
  }

 private:
  TemporaryFolder out_;
  PosixFiles files_;
  TrialSpec spec_;
  std::string said_, attempts_;
};

TrialSpec whole_spec(const std::string& method, const std::string& train, const std::string& model) {
  return spec_of(method, train, "save: {weights: {when: both}}\n", model, 16);
}

// Each registered method in two epochs of four steps for each of its phases, on the model of its example. What is compared is all that a
// published file has but for times: weights of the start and the end, masks, tables, summary, layers, state.
class StoppedTrial : public testing::TestWithParam<Recipe> {};

TEST_P(StoppedTrial, EndsWithTheResultOfOneThatWasLeftAlone) {
  std::string method;
  for (const auto& [key, text] : GetParam().method) method += (method.empty() ? "" : ", ") + key + ": " + text;
  const TrialSpec spec = spec_in(
      "sweep: t\nschema: 1\ntrial:\n"
      "  data: {name: synthetic, height: 16, width: 16, channels: 3, examples: 80, test_examples: 20, validation: 16}\n"
      "  train: {epochs: 2, batch: 16, lr: 0.01, precision: f32}\n"
      "  model: {name: " +
      GetParam().model + "}\n  method: {" + method + "}\nsave: {weights: {when: both}, metrics: {every: 3}}\n");
  ASSERT_EQ(spec.settings.text("method.name"), GetParam().name);
  const std::optional<std::string> alone = KeptTrial(spec).run();
  ASSERT_TRUE(alone);
  KeptTrial trial(spec);
  // Before the first step; within the first epoch; at its end; within the second, behind events; and so on in later phases.
  std::optional<std::string> result = trial.run(0);
  int stops = 0;
  for (; !result; ++stops) {
    ASSERT_LT(stops, 100) << "does not come to an end";
    constexpr std::int64_t kSteps[] = {3, 1, 2};
    result = trial.run(kSteps[stops % 3]);
    EXPECT_TRUE(trial.said().starts_with("goes on from step ")) << trial.said();
  }
  EXPECT_GE(stops, 4);
  EXPECT_EQ(result, alone);
  constexpr int kKept = 12;  // attempts that a checkpoint lists
  EXPECT_EQ(std::ranges::count(trial.attempts(), ';'), std::min(stops, kKept)) << trial.attempts();
}

INSTANTIATE_TEST_SUITE_P(Methods, StoppedTrial, testing::ValuesIn(each_method()),
                         [](const auto& at) { return at.param.name; });

TEST(StoppedTrial, UnderBatchNormAndAdamEndsWithTheResultOfOneThatWasLeftAlone) {
  const TrialSpec spec = whole_spec("{name: rigl, density: 0.3, delta_t: 4it}",
                                    "epochs: 3, batch: 32, lr: 0.05, optimizer: adam", "resnet20");
  const std::optional<std::string> alone = KeptTrial(spec).run();
  ASSERT_TRUE(alone);
  KeptTrial trial(spec);
  std::optional<std::string> result;
  int stops = 0;
  // Before the first step; within an epoch; and further, where masks, phases and channels have changed.
  for (const std::int64_t steps : {0, 3, 5, 9, 14, -1}) {
    result = trial.run(steps);
    EXPECT_EQ(trial.said().starts_with("goes on from step "), stops > 0) << trial.said();
    if (result) break;
    ++stops;
  }
  EXPECT_GE(stops, 3);
  EXPECT_EQ(result, alone);
  EXPECT_EQ(std::ranges::count(trial.attempts(), ';'), stops) << trial.attempts();
}

class Checkpointed : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(trial_.run(10), std::nullopt); }
  void change(const std::function<void(Checkpoint&)>& how) { trial_.change(how); }
  void expect_begins_again(const std::string& why) {
    const auto result = trial_.run();
    EXPECT_EQ(result, alone_);
    EXPECT_NE(trial_.said().find(why), std::string::npos) << trial_.said();
    EXPECT_EQ(std::ranges::count(trial_.attempts(), ';'), 0) << trial_.attempts();
  }

  TrialSpec spec_ = whole_spec("{name: snip, density: 0.2}", "epochs: 3, batch: 32, lr: 0.05", "lenet300");
  std::optional<std::string> alone_ = KeptTrial(spec_).run();
  KeptTrial trial_{spec_};
};

TEST_F(Checkpointed, OfAnotherWinnowIsNotMixedWithThisOne) {
  change([](Checkpoint& at) { at.note.writer = "winnow 0.0"; });
  expect_begins_again("begins again: its checkpoint was written by winnow 0.0");
}

TEST_F(Checkpointed, OfAnotherPrecisionIsNotMixedWithThisOne) {
  std::string own, other;  // what `auto` is depends on the processor
  change([&](Checkpoint& at) {
    own = at.note.precision;
    other = at.note.precision = own == "f32" ? "bf16" : "f32";
  });
  expect_begins_again("begins again: its checkpoint is of a computation in " + other + ", this one is in " + own);
}

TEST_F(Checkpointed, ThatDoesNotFitIsRefused) {
  change([](Checkpoint& at) { at.state = bytes_of(MemoryState()); });
  expect_begins_again("begins again: its checkpoint does not fit: saved state has no ");
  ASSERT_EQ(trial_.run(10), std::nullopt);
  change([](Checkpoint& at) { at.state.resize(at.state.size() - 1); });
  expect_begins_again("begins again: its checkpoint does not fit: ");
  ASSERT_EQ(trial_.run(10), std::nullopt);
  change([](Checkpoint& at) {
    MemoryState more;
    add_blocks(more, at.state, "");
    more.put_value("all/run/more", std::int64_t{1});
    at.state = bytes_of(more);
  });
  expect_begins_again("it has 'run/more', which this trial has not");
}

// As ranks of their own have it: more than rank 0 has, below names of the others.
void make_of_two_ranks(Checkpoint& at) {
  at.note.ranks = 2;
  MemoryState state;
  add_blocks(state, at.state, "");
  state.put_value("rank/1/of_that_rank", std::int64_t{1});
  at.state = bytes_of(state);
}

TEST_F(Checkpointed, OfAnotherNumberOfRanksGoesOnWithoutBatchNorm) {
  change(make_of_two_ranks);
  EXPECT_EQ(trial_.run(), alone_);
  EXPECT_TRUE(trial_.said().starts_with("goes on from step 10")) << trial_.said();
  EXPECT_EQ(std::ranges::count(trial_.attempts(), ';'), 1) << trial_.attempts();
}

// Which normalises by the rows that one rank has: on two ranks the steps so far were others.
TEST(CheckpointOfOtherRanks, IsRefusedUnderBatchNorm) {
  const TrialSpec spec = whole_spec("{name: dense}", "epochs: 1, batch: 64, lr: 0.05", "resnet20");
  const std::optional<std::string> alone = KeptTrial(spec).run();
  KeptTrial trial(spec);
  ASSERT_EQ(trial.run(2), std::nullopt);
  trial.change(make_of_two_ranks);
  EXPECT_EQ(trial.run(), alone);
  EXPECT_TRUE(trial.said().starts_with(
      "begins again: its checkpoint is of 2 ranks, this trial has 1 and its batch norm depends on that"))
      << trial.said();
  EXPECT_EQ(std::ranges::count(trial.attempts(), ';'), 0) << trial.attempts();
}

// But for an old one that cannot be removed: the new one is there.
TEST_F(Checkpointed, ThatCannotBeWrittenIsSaidAndTrainingGoesOn) {
  const auto newest = [this] {
    std::string last;
    const auto folder = trial_.folder().crash_path(1).parent_path();
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      last = std::max(last, entry.path().filename().string());
    }
    return last;
  };
  for (const int stop_before : {5, 0}) EXPECT_EQ(trial_.run(stop_before), std::nullopt);
  FaultyFiles counting;
  EXPECT_EQ(trial_.run(0, &counting), std::nullopt);
  for (int at = 0; at < counting.operations(); ++at) {
    FaultyFiles files(Fault::NoSpace, at);
    const std::string before = newest();
    EXPECT_EQ(trial_.run(0, &files), std::nullopt) << "a stop is a stop, whatever the disk does";
    EXPECT_TRUE(trial_.said().find("No space left on device") != std::string::npos || newest() > before)
        << at << trial_.said();
  }
  EXPECT_EQ(trial_.run(), alone_);
}

}  // namespace
}  // namespace winnow::test
