// The program as a user types it, in this process.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "experiments/cli/verbs.h"

namespace winnow {

struct Said {
  int code;
  std::string out, err;
};

inline Said winnow(const std::vector<std::string>& args) {
  std::ostringstream out, err;
  const int code = run_command_line(args, out, err);
  return {code, out.str(), err.str()};
}

}  // namespace winnow
