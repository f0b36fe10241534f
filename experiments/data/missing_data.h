// Whether the files of data sets are where the trials expect them, without reading any: a sweep
// whose data are missing must not fail trial by trial. Pure but for the look at the disk.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/trial.h"

namespace winnow {

// One line for each distinct problem, in the order of the trials.
std::vector<std::string> missing_data(std::span<const TrialSpec* const> trials);

}  // namespace winnow
