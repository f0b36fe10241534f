// A sweep of a million trials is planned, and dealt out, in little memory, and in a time that grows as their number does. Each plan
// is made by a process of its own, whose memory is limited; figures of time are in docs/clusters.md.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "experiments/run/estimate.h"
#include "experiments/run/trial_setup.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class LargePlan : public RunFixture {
 protected:
  LargePlan() : RunFixture("  - replicate: 2\n") {}
  struct Cost {
    int code = -1;
    double seconds = 0;  // of a processor
  };
  // `winnow plan` of 200 configurations, with no more than a GiB for its data.
  Cost plan(int replicates, const std::string& shards) const {
    const std::string sweep = with_axes(fmt::format(
        "  - method.density: [0.5, 0.4, 0.3, 0.2, 0.1]\n  - train.lr: [0.1, 0.05, 0.02, 0.01]\n"
        "  - train.weight_decay: [0, 1.0e-4, 2.0e-4, 5.0e-4, 1.0e-3, 2.0e-3, 3.0e-3, 4.0e-3, 5.0e-3, 6.0e-3]\n"
        "  - replicate: {}\n",
        replicates));
    const pid_t child = fork();
    if (child == 0) {
      const rlimit most{1u << 30, 1u << 30};
      setrlimit(RLIMIT_DATA, &most);
      std::ofstream nowhere("/dev/null");
      const std::vector<std::string> args = {"plan", sweep, "-o", (folder_ / "none").string(), "--shards", shards};
      _exit(run_command_line(args, nowhere, nowhere));
    }
    int status = 0;
    rusage used{};
    EXPECT_EQ(wait4(child, &status, 0, &used), child);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, seconds(used.ru_utime) + seconds(used.ru_stime)};
  }
  std::string with_axes(const std::string& axes) const {
    std::ifstream in(sweep_);
    std::string text(std::istreambuf_iterator<char>(in), {});
    text.replace(text.find("name: dense"), 11, "name: snip");
    const std::string path = (folder_ / "large.yaml").string();
    std::ofstream(path) << text.substr(0, text.find("axes:\n")) << "axes:\n" << axes;
    return path;
  }
};

TEST_F(LargePlan, AMillionTrialsFitIntoAGiBAndTakeAsMuchLongerAsTheyAreMore) {
  const Cost few = plan(500, "64"), many = plan(5000, "64");
  ASSERT_EQ(few.code, 0);
  ASSERT_EQ(many.code, 0) << "a million trials do not fit into a GiB";
  EXPECT_LT(many.seconds, 25 * few.seconds) << many.seconds << " s for ten times the trials of " << few.seconds << " s";
}

// A rate changes neither what a trial costs nor whether it can be trained: whatever the method.
TEST_F(LargePlan, RatesChangeNoCountOfAnyMethod) {
  for (const Component& method : catalog().methods) {
    std::string with = "{name: " + method.name;
    for (const Setting& setting : method.schema) {
      if (setting.key == "density" && !setting.fallback) with += ", density: 0.2";
    }
    const auto estimated = [&](const std::string& train) -> std::optional<TrialEstimate> {
      std::ifstream in(sweep_);
      std::string text(std::istreambuf_iterator<char>(in), {});
      text.replace(text.find("{name: dense}"), 13, with + "}");
      text.replace(text.find("lr: 0.01"), 8, train);
      const std::string path = (folder_ / "rates.yaml").string();
      std::ofstream(path) << text;
      try {
        return estimate(load_sweep(path, catalog()).trials[0]);
      } catch (const Error&) {  // it needs a setting or a trial that this sweep has not
        return std::nullopt;
      }
    };
    const auto one = estimated("lr: 0.01, weight_decay: 0, momentum: 0.9");
    const auto other = estimated("lr: 0.2, weight_decay: 0.001, momentum: 0");
    ASSERT_EQ(one.has_value(), other.has_value()) << method.name;
    if (!one) continue;
    EXPECT_EQ(one->kept, other->kept) << method.name;
    EXPECT_EQ(one->macs_sparse, other->macs_sparse) << method.name;
    EXPECT_EQ(one->flops, other->flops) << method.name;
    EXPECT_EQ(one->seconds, other->seconds) << method.name;
    EXPECT_EQ(one->memory_bytes, other->memory_bytes) << method.name;
    EXPECT_EQ(one->result_bytes, other->result_bytes) << method.name;
    EXPECT_EQ(one->checkpoint_bytes, other->checkpoint_bytes) << method.name;
  }
}

TEST_F(LargePlan, WhatDiffersInRatesIsEstimatedOnceAndNothingElseIs) {
  const Sweep sweep =
      load_sweep(with_axes("  - train.lr: [0.1, 0.2, 0.3]\n  - method.density: [0.5, 0.1]\n"), catalog());
  ASSERT_EQ(sweep.trials.size(), 6u);
  Estimator estimator;
  std::set<std::string> keys;
  for (const TrialSpec& spec : sweep.trials) {
    keys.insert(cost_key(spec));
    EXPECT_EQ(estimator(spec).kept, estimate(spec).kept);
  }
  EXPECT_EQ(keys.size(), 2u);
}

// One that fails is looked at each time, so that each is named.
TEST_F(LargePlan, ATrialThatCannotBeTrainedIsNamedForEachRate) {
  auto check = check_of_sweep();
  Sweep sweep =
      load_sweep(with_axes("  - train.lr: [0.1, 0.2]\n  - method.density: [0.1]\n"), catalog(), ExpandOptions{});
  int refused = 0;
  for (TrialSpec spec : sweep.trials) {
    spec.settings.set("train.batch", "1000000");
    spec.identity.set("train.batch", "1000000");
    refused += check(spec) ? 1 : 0;
  }
  EXPECT_EQ(refused, 2);
}

}  // namespace
}  // namespace winnow::test
