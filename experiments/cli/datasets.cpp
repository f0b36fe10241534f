#include "experiments/cli/listing.h"
#include "experiments/cli/verbs.h"

namespace winnow {

int run_datasets(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  return run_listing({"datasets", "Data sets", "data", &catalog().datasets}, args, out);
}

}  // namespace winnow
