// `winnow run` on emulated GPUs, which are as at the start before and after each test. Header only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {

class RunOnEmulated : public RunFixture {
 protected:
  using RunFixture::RunFixture;
  void SetUp() override {
    emulator::reset();
    RunFixture::SetUp();
  }
  void TearDown() override {
    RunFixture::TearDown();
    emulator::reset();
  }
  // With one thread each: a process that has had a team of threads cannot fork workers.
  RunSaid run(std::vector<std::string> args) const {
    args.insert(args.begin(), {"run", "--threads", "1"});
    return winnow(std::move(args));
  }
};

}  // namespace winnow::test
