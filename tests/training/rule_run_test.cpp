// Sweeps under a rule, from their files to the end, in this process: trials that fail, crash, diverge or have a damaged result, other rules
// and more trials in the same output directory.
#include <fmt/ranges.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/rung_claims.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/rung_board.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

using Epochs = std::map<int, int>;  // stopped after so many: so many trials

class RuleRun : public RunFixture {
 protected:
  RuleRun() : RunFixture(axes(9) + kHalving) {}

  // Trials of 9 epochs, which differ in their learning rate.
  static std::string axes(int trials) {
    std::vector<std::string> rates;
    for (int i = 1; i <= trials; ++i) rates.push_back(fmt::format("{:.3f}", 0.002 * i));
    return fmt::format("  - train.epochs: [9]\n  - train.lr: [{}]\n", fmt::join(rates, ", "));
  }
  void rewrite(const std::string& words, const std::string& by) const {
    std::string text = text_of(files_.read(sweep_));
    const auto at = text.find(words);
    ASSERT_NE(at, std::string::npos);
    std::ofstream(sweep_) << text.replace(at, words.size(), by);
  }
  RunSaid run(std::vector<std::string> more = {"--workers", "1"}) const {
    std::vector<std::string> args = {"run", "--threads", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return winnow(args);
  }
  SweepStatus status() const { return read_status(files_, out(), unix_now()); }
  Epochs stopped() const {
    Epochs found;
    for (const std::string& name : status().stopped) {
      ++found[static_cast<int>(read_trial(files_, Layout(out()).stopped(name)).summary.at("stopped.epoch"))];
    }
    return found;
  }
  void damage(std::size_t at) const {
    const auto path = Layout(out()).trial(trials().name(at));
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "no result";
  }
  // As a run before left it.
  void come_to_the_first_rung(std::size_t trial, double loss) {
    const TrialTable all = trials();
    RungBoard(files_, out(), *load_sweep(sweep_, catalog()).stop, all)
        .arrived(trial, {.columns = {{.name = "epoch", .values = std::vector<double>{1}},
                                     {.name = "train_loss", .values = std::vector<double>{loss}}}});
    const auto place = Layout(out()).stopped(all.name(trial));
    std::filesystem::create_directories(place.parent_path());
    std::ofstream(place) << "its curve";
  }
  // Of the journal of a run: "3 promoted past 1", by what they say.
  std::map<std::string, int> decisions(int attempt) const {
    std::map<std::string, int> found;
    const auto path = Layout(out()).journals() / fmt::format("run.a{:04}.jnl", attempt);
    for (const nlohmann::json& record : read_journal(files_, path).records) {
      if (record.at("kind") != "promoted" && record.at("kind") != "stopped") continue;
      ++found[fmt::format("{} {}", record.at("kind").get<std::string>(), record.at("rung").get<int>())];
      const std::string trial = record.at("trial");
      EXPECT_EQ(record.at("rule"), load_sweep(sweep_, catalog()).stop->text());
      EXPECT_EQ(record.at("metric"), "train_loss");
      EXPECT_TRUE(record.at("value").is_number());
      if (record.at("kind") == "promoted") {
        EXPECT_LE(record.at("place"), record.at("of"));
        EXPECT_TRUE(files_.exists(claim_path(rule_folder(), {trial, record.at("rung")}))) << trial;
      }
    }
    return found;
  }
  std::filesystem::path rule_folder() const {
    return Layout(out()).rungs() / load_sweep(sweep_, catalog()).stop->key();
  }

  static inline const std::string kHalving = "stop: {halving: {metric: train_loss, min: 1, eta: 3}}\n";
};

TEST_F(RuleRun, AFailureIsTheWorstOfItsRungAndTakesWhatIsLeftWhenItIsTriedAgain) {
  record_failure(files_, out(), trials()[4], "no luck");
  const RunSaid first = run({"--no-retry", "--workers", "1"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(status().done.size(), 1u) << first.err;
  EXPECT_EQ(status().failed.size(), 1u);
  EXPECT_EQ(stopped(), (Epochs{{1, 5}, {3, 2}})) << "three of nine went on";
  const auto done = status().done;

  ASSERT_EQ(winnow({"retry"}).code, 0);
  EXPECT_EQ(status().missing.size(), 1u);
  const RunSaid again = run();
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(status().done, done);
  EXPECT_TRUE(status().failed.empty());
  EXPECT_EQ(stopped(), (Epochs{{1, 6}, {3, 2}})) << again.err;
  EXPECT_TRUE(run().has("0 trained")) << "nothing is left";
}

TEST_F(RuleRun, ItsJournalHasWhatThatRunDecided) {
  using Decisions = std::map<std::string, int>;
  ASSERT_EQ(run({"--workers", "2"}).code, 0);
  const Decisions first{{"promoted 1", 3}, {"promoted 3", 1}, {"stopped 1", 6}, {"stopped 3", 2}};
  EXPECT_EQ(decisions(1), first);
  rewrite(axes(9), axes(18));
  const RunSaid said = run();
  ASSERT_EQ(said.code, 0) << said.err;
  const Decisions again{{"promoted 1", 3}, {"promoted 3", 1}, {"stopped 1", 12}, {"stopped 3", 4}};
  EXPECT_EQ(decisions(2), again)
      << "rungs that were open again are decided about anew, also about those that had stayed";
  const std::string tail = winnow({"tail", "--once", "--lines", "1000"}).out;
  EXPECT_NE(tail.find("  promoted  at epoch 1  train_loss "), std::string::npos) << tail;
}

TEST_F(RuleRun, WhatAKilledRunLeftUndecidedIsInTheJournalOfTheNext) {
  rewrite(axes(9), "  - train.epochs: [9]\n  - train.lr: [0.002, 0.004, 0.006]\n");
  for (const std::size_t trial : {0, 1, 2}) come_to_the_first_rung(trial, 0.5 + 0.1 * static_cast<double>(trial));
  const RunSaid said = run();
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(decisions(1), (std::map<std::string, int>{{"promoted 1", 1}, {"promoted 3", 1}})) << said.err;
}

TEST_F(RuleRun, WhatCrashedTooOftenIsGivenUpAndHoldsNobodyUp) {
  CheckpointFolder folder(files_, out(), trials().name(0));
  for (std::size_t crash = 1; crash <= CheckpointFolder::kMostCrashes; ++crash) folder.note_crash(crash, "signal 11");
  const RunSaid first = run();
  ASSERT_EQ(first.code, 0) << first.err;
  ASSERT_EQ(status().failed.size(), 1u) << first.err;
  EXPECT_EQ(status().failed[0].name, trials().name(0));
  EXPECT_EQ(status().done.size(), 1u);
  EXPECT_EQ(stopped(), (Epochs{{1, 5}, {3, 2}}));
  const RunSaid again = run();  // tries it again, as any failure
  EXPECT_TRUE(status().failed.empty()) << again.err;
  EXPECT_EQ(stopped(), (Epochs{{1, 6}, {3, 2}})) << again.err;
}

TEST_F(RuleRun, WhatDivergedIsTheWorstOfItsRung) {
  rewrite("0.018]", "1e12]");
  const RunSaid said = run();
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(status().diverged.size(), 1u) << said.err;
  EXPECT_EQ(status().done.size(), 1u);
  EXPECT_EQ(stopped(), (Epochs{{1, 5}, {3, 2}}));
}

TEST_F(RuleRun, AnotherRuleBeginsAnewByTheCurvesThatAreThere) {
  ASSERT_EQ(run().code, 0);
  const auto done = status().done;
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(stopped(), (Epochs{{1, 6}, {3, 2}}));
  rewrite(kHalving, "stop: {median: {metric: train_loss, min: 3, every: 3, trials: 2}}\n");
  const RunSaid said = run();
  ASSERT_EQ(said.code, 0) << said.err;
  const SweepStatus now = status();
  EXPECT_TRUE(std::ranges::binary_search(now.done, done[0])) << "it keeps its result";
  EXPECT_EQ(now.done.size() + now.stopped.size(), 9u) << said.err;
  for (const auto& [epoch, trials] : stopped()) EXPECT_TRUE(epoch == 3 || epoch == 6) << epoch;
  EXPECT_EQ(files_.list(Layout(out()).rungs()).size(), 2u);
  EXPECT_TRUE(run().has("0 trained"));
}

TEST_F(RuleRun, AWiderSweepGivesOutThePlacesThatItAdds) {
  ASSERT_EQ(run().code, 0);
  const auto done = status().done;
  rewrite(axes(9), axes(18));
  const RunSaid said = run();
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(status().done.size(), 2u) << "one of nine, two of eighteen";
  EXPECT_TRUE(std::ranges::binary_search(status().done, done[0]));
  EXPECT_EQ(stopped(), (Epochs{{1, 12}, {3, 4}})) << said.err;
}

TEST_F(RuleRun, AResultThatCannotBeReadDecidesNothing) {
  damage(0);
  const RunSaid first = run({"--workers", "2"});
  EXPECT_EQ(first.code, 66) << first.err;
  EXPECT_TRUE(status().done.empty()) << "the rung waits for it";
  EXPECT_EQ(stopped(), (Epochs{{1, 8}})) << first.err;
  EXPECT_TRUE(files_.list(rule_folder() / "past").empty());
  std::filesystem::remove(Layout(out()).trial(trials().name(0)));
  const RunSaid again = run();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(status().done.size(), 1u);
  EXPECT_EQ(stopped(), (Epochs{{1, 6}, {3, 2}}));
}

TEST_F(RuleRun, ThePlanSaysWhereNoTrialIsJudgedBeforeItsEnd) {
  const std::string words =
      "nothing is stopped: no trial has an evaluation ('train.eval_every') after 1ep or later and before its end";
  rewrite("lr: 0.01", "lr: 0.01, eval_every: 9");
  EXPECT_NE(winnow({"plan"}).out.find(words), std::string::npos) << winnow({"plan"}).out;
  rewrite("eval_every: 9", "eval_every: 8");
  const RunSaid good = winnow({"plan"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_NE(good.out.find("9 to 1ep, 3 to 3ep, 1 to the end\n       73 epochs in place of 81"), std::string::npos)
      << good.out;
  EXPECT_EQ(good.out.find(words), std::string::npos);
  ASSERT_EQ(run().code, 0);
  EXPECT_EQ(stopped(), (Epochs{{8, 8}}));
}

// It has come to a rung and waits there for the other one, which is to be trained.
TEST_F(RuleRun, WhatWaitsAtARungIsLookedAtBeforeAnythingIsTrained) {
  rewrite(axes(9), "  - zip: {train.lr: [0.002, 0.004], train.device: [cpu, cuda]}\n");
  rewrite("epochs: 1", "epochs: 9");
  come_to_the_first_rung(1, 0.1);
  const RunSaid said = run();
  EXPECT_EQ(said.code, 69) << said.err;
  EXPECT_TRUE(said.has("train.device is cuda")) << said.err;
  EXPECT_TRUE(status().stopped.size() <= 1 && status().failed.empty() && status().done.empty())
      << "nothing was trained";
}

TEST_F(RuleRun, WhatStaysAtARungThatIsDecidedNeedsNothing) {
  rewrite(axes(9), "  - zip: {train.lr: [0.002, 0.004, 0.006], train.device: [cpu, cuda, cuda]}\n");
  rewrite("epochs: 1", "epochs: 9");
  come_to_the_first_rung(0, 0.1);
  come_to_the_first_rung(1, 0.5);
  come_to_the_first_rung(2, 0.7);
  const RunSaid said = run();
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(status().done, std::vector<std::string>{trials().name(0)}) << said.err;
}

TEST_F(RuleRun, ATrialThatWasLetPastItsRungIsNotStopped) {
  ASSERT_EQ(run().code, 0);
  const auto before = status();
  ASSERT_EQ(before.stopped.size(), 8u) << "those after 3 epochs were let past one rung, before";
  std::string name;
  for (const std::string& one : before.stopped) {
    if (read_trial(files_, Layout(out()).stopped(one)).summary.at("stopped.epoch") == 1) name = one;
  }
  files_.write_once(claim_path(rule_folder(), {name, 1}), {});  // by a run that was killed then
  const auto between = status();
  EXPECT_EQ(between.stopped.size(), 7u);
  ASSERT_EQ(between.missing.size(), 1u);
  EXPECT_EQ(between.missing[0].name, name);
  EXPECT_TRUE(between.saved.contains(name)) << "it goes on from there";
  EXPECT_EQ(between.planned, before.planned);
  const RunSaid again = run();
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(stopped(), (Epochs{{1, 5}, {3, 3}})) << again.err;
}

}  // namespace
}  // namespace winnow::test
