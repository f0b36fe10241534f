// What a survey is made from: the results of an output directory, and what is known of trials without one. Plain values.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/results/status.h"

namespace winnow {

struct SurveyInputs {
  SweepStatus status;
  std::map<std::string, std::string> planned;  // by name, what was planned
  std::vector<std::string> names;              // of finished trials, then of stopped ones; sorted
  std::vector<std::filesystem::path> paths;    // their files
};

// Error{Input} if `out` is no output directory. Reads no more of results than read_status() does.
SurveyInputs survey_inputs(Files& files, const std::filesystem::path& out);
// Another one where a result came, went or was replaced, or a trial without one is in another state. Files go by name,
// size and time, so a directory that was copied with its times has the digest of the first.
std::string digest_of(Files& files, const SurveyInputs& inputs);

}  // namespace winnow
