// The one exception type of winnow. Thrown anywhere below a trial's firewall or the command line's
// main; its text is one line for a person: what is wrong, where, what is allowed.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace winnow {

// The value is the exit code of the command (sysexits.h), documented in docs/formats.md.
enum class ErrorKind : int {
  Usage = 64,        // bad command line
  Settings = 65,     // bad sweep file, setting or combination; newer result file
  Input = 66,        // a file or folder that must be read is missing or damaged
  Unavailable = 69,  // device, library, network or memory
  Internal = 70,     // a broken promise of our own code
  Io = 74,           // reading or writing failed: disk full, no permission, error of the disk
  Stopped = 75,      // stopped on request, state saved
  Site = 78          // the machine or launch does not fit the plan (too few ranks, ...)
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace winnow
