// How submissions are shown, by the verbs that speak with Slurm.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "experiments/submit/submission.h"

namespace winnow {

nlohmann::ordered_json submission_json(const Submission& submission);
std::string shards_text(const Submission& submission);  // "0-3,7"
const char* submission_state(Submission::State state);

}  // namespace winnow
