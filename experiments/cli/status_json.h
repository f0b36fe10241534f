// `winnow status --json`, and what its screen shares with it. Looking changes nothing; the functions keep no state.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/results/status.h"

namespace winnow {

// The submissions of `place` are in it, as their records say.
nlohmann::ordered_json status_json(Files& files, const std::filesystem::path& place, const SweepStatus& status);

// Names of the trials that one needs, of its own replicate as in every sweep.
std::vector<std::string> needed_by(const PlannedTrial& trial);

}  // namespace winnow
