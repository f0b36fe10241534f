// What the exit codes mean, for the manual page; docs/formats.md says the same and what a batch script should do.
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
      {3, "with --strict: done, but some trials failed or diverged; after `verify`, some have no result"},
      {64, "wrong command line"},
      {65,
       "wrong sweep file or setting, a start file that cannot be used among them; a result file of another major "
       "version"},
      {66,
       "a file or directory to read is missing or damaged: sweep, results, data of the trials; after `run`, every "
       "other trial is done; after `verify`, something is damaged, or another result came out"},
      {69, "device, library, network or memory unavailable"},
      {70, "internal error: a bug"},
      {74, "reading or writing failed, of a file or standard output: disk full, no permission, error of the disk"},
      {75, "stopped on request, everything finished and the state of what is in work is saved"},
      {78, "the machine or the launch does not fit the plan"}};
  return codes;
}

}  // namespace winnow
