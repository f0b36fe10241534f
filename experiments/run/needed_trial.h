// A finished trial of an output directory, as one that needs it takes it over. Read through the checks of every result.
#pragma once

#include <filesystem>

#include "core/needed.h"
#include "experiments/results/files.h"
#include "experiments/trial.h"

namespace winnow {

// Error{Input} if its result is absent, damaged, or that of another trial.
Needed load_needed(Files& files, const std::filesystem::path& out, const TrialNeed& need);

}  // namespace winnow
