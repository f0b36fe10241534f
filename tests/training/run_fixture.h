// `winnow run` and other verbs on a small sweep in this process, for tests of what it says and returns. Header only.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "experiments/cli/verbs.h"
#include "experiments/results/files.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {

struct RunSaid {
  int code;
  std::string out, err;
  bool has(const std::string& words) const { return err.find(words) != std::string::npos; }
};

class RunFixture : public SweepFiles {
 protected:
  // `axes`: of a sweep of trials that take an instant.
  explicit RunFixture(std::string axes) : axes_(std::move(axes)) {}
  void SetUp() override {
    SweepFiles::SetUp();
    sweep_ = write("s.yaml",
                   "trial:\n"
                   "  data: {name: synthetic, height: 8, width: 8, channels: 1, examples: 64,\n"
                   "         test_examples: 16, validation: 0}\n"
                   "  model: {name: lenet300}\n"
                   "  method: {name: dense}\n"
                   "  train: {epochs: 1, batch: 16, lr: 0.01, precision: f32}\n"
                   "axes:\n" +
                       axes_)
                 .string();
  }
  // On the sweep and its output directory.
  RunSaid winnow(std::vector<std::string> args) const {
    args.insert(args.begin() + 1, {sweep_, "-o", out().string()});
    std::ostringstream text, errors;
    ::testing::internal::CaptureStderr();  // the console of a run
    const int code = run_command_line(args, text, errors);
    return {code, text.str(), ::testing::internal::GetCapturedStderr() + errors.str()};
  }
  std::filesystem::path out() const { return folder_ / "out"; }
  TrialTable trials() const { return load_sweep(sweep_, catalog()).trials; }

  std::string sweep_;
  mutable PosixFiles files_;

 private:
  std::string axes_;
};

}  // namespace winnow::test
