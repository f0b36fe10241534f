// Whole trials on threads of one process beside each other, on the CPU: the bits that each has alone. What a process has once
// for all of them (data sets, primitives, teams of threads, the library of result files) is used by all at once.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "experiments/results/trial_file.h"
#include "tests/training/whole_trial.h"

namespace winnow::test {
namespace {

// The file that would be published, but for what is measured.
std::string digest_of(const TrialSpec& spec, int threads) {
  const auto self = make_self();
  RunTrialOptions options;
  options.threads = threads;
  options.read_ahead = true;
  const auto folder = std::filesystem::path(::testing::TempDir()) /
                      ("winnow-side-" + std::to_string(getpid()) + "-" +
                       std::to_string(std::hash<std::thread::id>()(std::this_thread::get_id())));
  PosixFiles files;
  publish(files, folder, run_trial(spec, *self, options));
  std::string digest;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) digest = read_header(files, entry.path()).content_digest;
  }
  std::filesystem::remove_all(folder);
  return digest;
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
