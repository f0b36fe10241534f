// Whole trials on threads of one process beside each other, on the CPU: the bits that each has alone. What a process has once
// for all of them (data sets, primitives, teams of threads, the library of result files) is used by all at once.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/training/whole_trial.h"

namespace winnow::test {
namespace {

// The file that would be published, but for what is measured.
std::string digest_of(const TrialSpec& spec, int threads) {
  const auto self = make_self();
  RunTrialOptions options;
  options.threads = threads;
  options.read_ahead = true;
  return content_digest(run_trial(spec, *self, options));
}

TEST(SideBySideOnTheCpu, TrialsGiveTheResultsThatEachGivesAlone) {
  const std::vector<TrialSpec> specs = {
      spec_of("{name: dense}", "epochs: 2, batch: 32, lr: 0.05"),
      spec_of("{name: rigl, density: 0.1, delta_t: 4it}", "epochs: 2, batch: 32, lr: 0.05"),
      spec_of("{name: snip, density: 0.1}", "epochs: 2, batch: 32, lr: 0.01", "", "lenet5", 16),
      spec_of("{name: gmp, density: 0.2}", "epochs: 2, batch: 32, lr: 0.001, optimizer: adam"),
      spec_of("{name: dense}", "epochs: 2, batch: 32, lr: 0.02, precision: bf16", "", "lenet5", 16)};
  for (const int threads : {1, 2}) {
    std::vector<std::string> alone, together(specs.size());
    for (const TrialSpec& spec : specs) alone.push_back(digest_of(spec, threads));
    {
      std::vector<std::jthread> at_once;
      for (std::size_t i = 0; i < specs.size(); ++i) {
        at_once.emplace_back([&, i] { together[i] = digest_of(specs[i], threads); });
      }
    }
    EXPECT_EQ(together, alone) << threads << " threads each";
    EXPECT_NE(alone[0], alone[1]);
  }
}

}  // namespace
}  // namespace winnow::test
