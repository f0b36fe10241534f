// Whether the files of data sets are where the trials expect them, and whole: a sweep whose data are missing or
// damaged must not fail trial by trial. Pure but for the look at the disk.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/settings.h"

namespace winnow {

// `data`: the settings of each data set, keys without "data.". One line for each distinct problem, in their order. Opens no
// file.
std::vector<std::string> missing_data(std::span<const Settings> data);

// Reads all files as training will. Those read last stay in memory for the first trial.
struct DataCheck {
  std::vector<std::string> problems;  // one line for each data set that is missing or damaged
  std::vector<std::string> remarks;   // one line for each data set that is not the published one of its name
};
DataCheck check_data(std::span<const Settings> data);

}  // namespace winnow
