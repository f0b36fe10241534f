// Whether the files of data sets are where the trials expect them, and whole: a sweep whose data are missing or
// damaged must not fail trial by trial. Pure but for the look at the disk.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/trial.h"

namespace winnow {

// One line for each distinct problem, in the order of the trials. Opens no file.
std::vector<std::string> missing_data(std::span<const TrialSpec* const> trials);

// Reads all files as training will. Those read last stay in memory for the first trial.
struct DataCheck {
  std::vector<std::string> problems;  // one line for each data set that is missing or damaged
  std::vector<std::string> remarks;   // one line for each data set that is not the published one of its name
};
DataCheck check_data(std::span<const TrialSpec* const> trials);

}  // namespace winnow
