// Whole trials from the text of a sweep file: what is planned, and the result that would be written.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/trial_setup.h"
#include "experiments/sweep/sweep.h"
#include "tests/temporary_folder.h"
#include "tests/training/small_trial.h"

namespace winnow::test {

// The first trial of a sweep file with this text. Any thread.
inline TrialSpec spec_in(const std::string& text) {
  static std::atomic<int> calls{0};
  const auto path = std::filesystem::path(::testing::TempDir()) /
                    ("winnow-trial-" + std::to_string(getpid()) + "-" + std::to_string(calls++) + ".yaml");
  std::ofstream(path) << text;
  const Sweep sweep = load_sweep(path, catalog(), {.check = check_trial});
  std::filesystem::remove(path);
  return sweep.trials.at(0);
}

// `train`: the settings below train; `more`: lines after them. 256 synthetic training images, 64 for validation.
inline TrialSpec spec_of(const std::string& method, const std::string& train = "epochs: 4, batch: 32, lr: 0.05",
                         const std::string& more = "", const std::string& model = "lenet300", int side = 14) {
  return spec_in(
      "sweep: t\nschema: 1\ntrial:\n"
      "  data: {name: synthetic, height: " +
      std::to_string(side) + ", width: " + std::to_string(side) +
      ", channels: 1, examples: 320, test_examples: 100, validation: 64}\n  model: {name: " + model + "}\n  train: {" +
      train + "}\n  method: " + method + "\n" + more);
}

// Of a trial that needs others these are networks as they were drawn.
inline TrialResult result_of(const TrialSpec& spec) {
  const auto self = make_self();
  RunTrialOptions options;
  options.needed = [&](const TrialNeed& need) {
    return sample_needed(TrialSetup(spec).build(), need.method, need.role, false);
  };
  return run_trial(spec, *self, options);
}

// Of all that a published file would have but for what is measured.
inline std::string content_digest(const TrialResult& result) {
  const TemporaryFolder folder;
  PosixFiles files;
  publish(files, folder.path(), result);
  return read_header(files, Layout(folder.path()).trial(result.spec.name())).content_digest;
}

template <class... Texts>
TrialResult result_of(const std::string& method, const Texts&... texts) {
  return result_of(spec_of(method, texts...));
}

}  // namespace winnow::test
