// `winnow verify`: is all that an output directory holds what was written, and is all there that was planned? Reads every
// byte and writes nothing. Plain values; one thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/results/survey.h"

namespace winnow {

struct Verification {
  std::size_t results = 0, plans = 0, journals = 0, checkpoints = 0, surveys = 0;  // that were looked at
  std::size_t records = 0;            // so were these: sweep files, deals, failures, crashes, submissions
  std::size_t planned = 0;            // trials that the directory knows of
  std::vector<MissingTrial> missing;  // those without a result, and why
  std::vector<std::string> faults;    // one line each, which names the file
  std::vector<std::string> notes;     // what is no fault: a survey that is older than the results
};

// `said` hears how many results of how many were looked at.
using VerifyProgress = std::function<void(std::size_t done, std::size_t of)>;

// Error{Input} if `out` is no output directory.
Verification verify_directory(Files& files, const std::filesystem::path& out, const VerifyProgress& said = {});
// Of single files, by their endings: .h5 (a result or a survey), .jnl, .ck. Error{Usage} for others.
Verification verify_files(Files& files, const std::vector<std::filesystem::path>& paths);

}  // namespace winnow
