// What the exit codes mean and what a batch script should do; for the manual page. docs/formats.md has the same table.
#pragma once

#include <vector>

namespace winnow {

struct ExitCode {
  int code;
  const char* meaning;
};

inline const std::vector<ExitCode>& exit_codes() {
  static const std::vector<ExitCode> codes = {
      {0, "done; without --strict also if trials failed or diverged"},
      {3, "with --strict: done, but some trials failed or diverged"},
      {64, "wrong command line"},
      {65, "wrong sweep file or setting, or a result file of another major version"},
      {66, "a file or directory to read is missing or damaged"},
      {69, "device, library or network unavailable; try again"},
      {70, "internal error: a bug"},
      {74, "writing failed: disk full, no permission; try again"},
      {75, "stopped on request; the same command goes on"},
      {78, "the machine or the launch does not fit the plan"}};
  return codes;
}

}  // namespace winnow
