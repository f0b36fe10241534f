// Runs another program to its end: its words as they are, no shell between. A program that takes longer than it may is killed,
// with what it started. May be called from several threads.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace winnow {

struct ProgramEnd {
  // Its exit code. Nothing: it was killed, by the time limit or by somebody else, or not all that it said is here.
  std::optional<int> code;
  std::string out, err;  // what it said, each up to some megabytes
  bool timed_out = false;
};

// Nothing: there is no such program on the PATH, or it cannot be started. `without`: variables that it does not inherit.
std::optional<ProgramEnd> run_program(const std::vector<std::string>& words, std::chrono::milliseconds limit,
                                      const std::set<std::string>& without = {});

}  // namespace winnow
