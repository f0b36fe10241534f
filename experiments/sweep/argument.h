// KEY=VALUE of the command line, as --set and --only take it. Pure but for what it adds to the problems.
#pragma once

#include <string>

#include "experiments/sweep/diagnostics.h"
#include "experiments/sweep/tree.h"

namespace winnow {

// `said`: the argument as errors show it, "--set train.lr=x". A map of one entry; nothing where the value cannot be read, which `problems` then names. Error{Usage} where there is no
// key or no value.
NodePtr parse_argument(const std::string& said, const std::string& argument, Diagnostics& problems);

}  // namespace winnow
