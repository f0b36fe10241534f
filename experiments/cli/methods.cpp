#include "experiments/cli/listing.h"
#include "experiments/cli/verbs.h"

namespace winnow {

int run_methods(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  return run_listing({"methods", "Methods", "method", &catalog().methods}, args, out);
}

}  // namespace winnow
