// Sweeps under a rule, from their files to the end, in this process: trials that fail, crash, diverge or have a damaged result, other rules
// and more trials in the same output directory.
#include <fmt/ranges.h>

#include <fstream>

#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/rung_claims.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
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
  std::filesystem::path rule_folder() const {
    return Layout(out()).rungs() / load_sweep(sweep_, catalog()).stop->key();
  }

  static inline const std::string kHalving = "stop: {halving: {metric: train_loss, min: 1, eta: 3}}\n";
};

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
