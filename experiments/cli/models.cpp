#include "experiments/cli/listing.h"
#include "experiments/cli/verbs.h"

namespace winnow {

int run_models(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  return run_listing({"models", "Models", "model", &catalog().models}, args, out);
}

}  // namespace winnow
