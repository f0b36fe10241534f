// A trial that is stopped in the middle of its training, for tests of what lies in an output directory then. Header only.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/error.h"
#include "distributed/communicator.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/trial_checkpoints.h"

namespace winnow::test {

inline void leave_checkpoint(Files& files, const std::filesystem::path& out, const TrialSpec& spec) {
  const auto self = make_self();
  const CheckpointPlace place{files, out, [](const std::string&) {}};
  RunTrialOptions options;
  options.checkpoints = &place;
  options.stop_requested = [steps = 2]() mutable { return steps-- == 0; };
  try {
    run_trial(spec, *self, options);
    ADD_FAILURE() << "the trial came to its end";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Stopped) << error.what();
  }
}

}  // namespace winnow::test
