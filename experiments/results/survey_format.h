// What the writer and the readers of survey files share.
#pragma once

#include <string>
#include <vector>

#include "experiments/results/container.h"

namespace winnow {

// Over everything but the weights, which are links or carry check sums of their own.
inline std::string survey_digest(const Hdf5File& file) {
  return file.digest([](const std::string& path) { return path == "/weights"; });
}

inline constexpr const char* kSurveyVersion = "1.1";
inline constexpr ContainerKind kSurvey = {"winnow-survey", 1, survey_digest};

// The names of its trials are there once more behind the content, so that the next `collect` need not read all of it.
inline std::string lines_of(const std::vector<std::string>& names) {
  std::string lines;
  for (const std::string& name : names) lines += name + "\n";
  return lines;
}

}  // namespace winnow
