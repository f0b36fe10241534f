// What a plan says beyond its trials: lengths that cannot act, recipes that diverge, batches that batch
// norm cannot work on; where a sweep may come from, and how large it may be.
#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "experiments/cli/verbs.h"
#include "tests/said.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

// 512 examples for training: 15 steps of 100 in 3 epochs.
const std::string kSmall =
    "trial:\n"
    "  data:  {name: synthetic, examples: 600, test_examples: 200, height: 8, width: 8, channels: 1, validation: 88}\n"
    "  model: {name: lenet300}\n";

class Plan : public SweepFiles {
 protected:
  Said plan(const std::string& text, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"plan", write("s.yaml", text).string(), "--json", "-o",
                                     (folder_ / "out").string()};
    args.insert(args.end(), more.begin(), more.end());
    return winnow(args);
  }
  // All notes of the plan in one text.
  std::string notes(const std::string& text, const std::vector<std::string>& more = {}) const {
    const Said said = plan(text, more);
    if (said.code != 0) return said.err;
    const auto json = nlohmann::json::parse(said.out);
    std::string all;
    for (const auto& note : json["notes"]) all += note.get<std::string>() + "\n";
    return all;
  }
};

TEST_F(Plan, NamesLengthsThatCannotAct) {
  const std::string train = kSmall + "  train:  {epochs: 3, batch: 100, lr: 0.05}\n";
  const std::pair<const char*, const char*> cases[] = {
      {"{name: rigl, density: 0.1, t_begin: 1000it}", "s.yaml:5: 'method.t_begin' 1000it cannot act"},
      {"{name: set, density: 0.1, interval: 100ep}", "s.yaml:5: 'method.interval' 100ep cannot act"},
      {"{name: imp, density: 0.1, rewind_to: 4ep}",
       "s.yaml:5: 'method.rewind_to' 4ep cannot act: of its 20 steps at "
       "most 14 fit into the run"},
      {"{name: imp, density: 0.5, rate: 0.5, back: nothing, fine_tune: 100ep}",
       "s.yaml:5: 'method.fine_tune' 100ep cannot act"},
      {"{name: gmp, density: 0.1}",
       "'method.interval' 100it cannot act: of its 100 steps at most 8 fit after begin until "
       "end"},
  };
  for (const auto& [method, words] : cases) {
    const std::string said = notes(train + "  method: " + method + "\n");
    EXPECT_NE(said.find(words), std::string::npos) << method << "\n" << said;
  }
  EXPECT_EQ(notes(train + "  method: {name: set, density: 0.1, interval: 2ep}\n"), "");
  EXPECT_EQ(notes(train + "  method: {name: rigl, density: 0.1, t_begin: 1000it}\n", {"--smoke"}), "")
      << "a smoke trial is short on purpose";
}

TEST_F(Plan, NamesPartsOfAScheduleBeyondTheEnd) {
  const auto schedule = [&](const std::string& text) {
    return notes(kSmall + "  train:  {epochs: 3, batch: 100, lr: 0.05, schedule: " + text +
                 "}\n  method: {name: dense}\n");
  };
  EXPECT_NE(schedule("{kind: multistep, at: [1, 3]}").find("'train.schedule.at' 3ep cannot act"), std::string::npos);
  EXPECT_NE(schedule("{kind: step, every: 15it}").find("'train.schedule.every' 15it"), std::string::npos);
  EXPECT_NE(schedule("{warmup: 3}").find("'train.schedule.warmup' 3ep"), std::string::npos);
  EXPECT_EQ(schedule("{kind: multistep, at: [1, 2], warmup: 1}"), "");
  EXPECT_EQ(schedule("{kind: multistep, at: [3, 4]}").find("2 of 1"), std::string::npos) << "one configuration";
  EXPECT_NE(schedule("{kind: multistep, at: [1, 5it]}").find("two places are the same step, 5"), std::string::npos);
}

TEST_F(Plan, OneNoteForAllConfigurationsOfASetting) {
  const std::string said =
      notes(kSmall +
            "  train:  {epochs: 3, batch: 100, lr: 0.05}\n"
            "  method: {name: set, density: 0.1, interval: 10ep}\n"
            "axes:\n  - method.density: [0.1, 0.2, 0.3]\n  - train.epochs: [3, 30]\n  - replicate: 2\n");
  EXPECT_EQ(std::ranges::count(said, '\n'), 1) << said;
  EXPECT_NE(said.find("(3 of 6 configurations)"), std::string::npos) << said;
}

TEST_F(Plan, RefusesBatchNormOverOneValue) {
  const auto trial = [](int side, int batch) {
    return fmt::format(
        "trial:\n  data:  {{name: synthetic, examples: 64, test_examples: 40, height: {0}, width: {0}, validation: "
        "0}}\n"
        "  model: {{name: resnet20}}\n  train: {{epochs: 1, batch: {1}, lr: 0.01}}\n  method: {{name: dense}}\n",
        side, batch);
  };
  const Said said = plan(trial(4, 1));
  EXPECT_EQ(said.code, 65);
  EXPECT_NE(said.err.find("s.yaml:4:29: error: 'train.batch' 1 gives batch norm"), std::string::npos) << said.err;
  EXPECT_NE(plan(trial(4, 2), {"--set", "ranks=2"}).err.find("a rank needs at least 2 examples"), std::string::npos);
  EXPECT_EQ(plan(trial(4, 2)).code, 0);
  EXPECT_EQ(plan(trial(8, 1)).code, 0) << "four values a channel";
}

TEST_F(Plan, SaysThatARecipeIsKnownToDiverge) {
  const auto lenet5 = [&](const std::string& train) {
    return notes(
        "trial:\n  data:  {name: synthetic, height: 28, width: 28, channels: 1}\n  model: {name: lenet5}\n"
        "  train: {epochs: 3" +
        train + "}\n  method: {name: dense}\n");
  };
  EXPECT_NE(lenet5("").find("'train.lr'"), std::string::npos);
  EXPECT_NE(lenet5(", lr: 0.1").find("s.yaml:4: 'train.lr'"), std::string::npos);
  EXPECT_EQ(lenet5(", lr: 0.01"), "");
  EXPECT_EQ(lenet5(", lr: 0.1, momentum: 0"), "");
  EXPECT_EQ(lenet5(", lr: 1e-3, optimizer: adam"), "");
}

TEST_F(Plan, TheDeviceIsNoAxis) {
  const Said said = plan(kSmall + "  method: {name: dense}\naxes:\n  - train.device: [cpu, cuda]\n");
  EXPECT_EQ(said.code, 65);
  EXPECT_NE(said.err.find("s.yaml:6:5: error: 'train.device' is no part of this trial's name"), std::string::npos)
      << said.err;
}

TEST_F(Plan, ReadsPipesAndStandardInput) {
  const std::string text = kSmall + "  method: {name: dense}\n";
  const std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(pipe) << text; });
  const Said said = winnow({"plan", pipe});
  writer.join();
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.out.starts_with("sweep  1 trial ")) << said.out;

  std::istringstream input(text);
  std::streambuf* before = std::cin.rdbuf(input.rdbuf());
  const Said dash = winnow({"plan", "-"});
  std::cin.rdbuf(before);
  std::cin.clear();
  EXPECT_EQ(dash.code, 0) << dash.err;
  EXPECT_NE(winnow({"plan", folder_.string()}).err.find("it is a folder"), std::string::npos);
}

TEST_F(Plan, ABaseFileMayBeAPipe) {
  const std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(pipe) << kSmall; });
  const Said said = winnow({"plan", write("s.yaml", "extends: [pipe]\ntrial:\n  method: {name: dense}\n").string()});
  writer.join();
  EXPECT_EQ(said.code, 0) << said.err;
}

TEST_F(Plan, NamesAnEmptyVariableOfAPath) {
  ASSERT_EQ(setenv("WINNOW_TEST_DIGITS", "", 1), 0);
  const std::string said = notes(
      "trial:\n  data: {name: mnist, root: $WINNOW_TEST_DIGITS, validation: 0}\n"
      "  model: {name: lenet300}\n  method: {name: dense}\n");
  unsetenv("WINNOW_TEST_DIGITS");
  EXPECT_NE(said.find("WINNOW_TEST_DIGITS is empty"), std::string::npos) << said;
}

TEST_F(Plan, ExplainsWhatIsDroppedAndWhenASettingIsRead) {
  EXPECT_NE(winnow({"explain", "train.batch"}).out.find("dropped"), std::string::npos);
  EXPECT_NE(
      winnow({"explain", "nesterov"}).out.find("read when train.optimizer is sgd or sam and train.momentum is not 0"),
      std::string::npos);
  const std::string ranks = winnow({"explain", "ranks"}).out;
  EXPECT_EQ(ranks.find("no part"), std::string::npos) << ranks;
  EXPECT_NE(ranks.find("batch norm"), std::string::npos) << ranks;
}

// Every rank holds the plan of its sweep: settings that trials have in common are stored once.
TEST_F(Plan, AHundredThousandTrialsAreSmall) {
  const std::string text = kHead +
                           "  method: {name: snip}\naxes:\n"
                           "  - sample: {n: 20000, space: {method.density: {loguniform: [0.01, 0.5]}, "
                           "train.lr: {uniform: [0.01, 0.2]}}}\n  - replicate: 5\n";
  const auto before = mallinfo2().uordblks;
  const Sweep sweep = load(text);
  const auto used = mallinfo2().uordblks - before;
  ASSERT_EQ(sweep.trials.size(), 100'000u);
  EXPECT_EQ(sweep.configurations, 20'000u);
  EXPECT_EQ(sweep.replicates, 5u);
  EXPECT_LT(used / sweep.trials.size(), 200u) << "bytes a trial";
  EXPECT_NE(sweep.trials[0].settings.text("train.lr"), sweep.trials[5].settings.text("train.lr"));
  EXPECT_EQ(sweep.trials[0].settings.text("train.lr"), sweep.trials[4].settings.text("train.lr"));
}

TEST_F(Plan, AThousandRulesLeaveOutWhatTheyName) {
  std::string text = kHead + "  method: {name: snip}\naxes:\n  - train.batch: [";
  for (int i = 1; i <= 2000; ++i) text += fmt::format("{}{}", i == 1 ? "" : ", ", i);
  text += "]\n  - method.density: [0.1, 0.2]\nexclude:\n";
  for (int i = 1; i <= 1000; ++i) text += fmt::format("  - {{train.batch: {}, method.density: {{lt: 0.15}}}}\n", 2 * i);
  const Sweep sweep = load(text);
  EXPECT_EQ(sweep.trials.size(), 3000u);
  ASSERT_EQ(sweep.left_out.size(), 1000u);
  for (const LeftOut& rule : sweep.left_out) EXPECT_EQ(rule.count, 1u) << rule.rule;
}

}  // namespace
}  // namespace winnow::test
