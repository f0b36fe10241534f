// Results and weights as bytes on their way from a child process (isolated.h): no file format, the same program
// writes and reads them. Bytes that do not parse are Error{Internal}.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"

namespace winnow {

std::vector<std::byte> packed(const ReadTrial& trial);  // without weights
std::vector<std::byte> packed(const std::vector<WeightRecord>& weights);
std::vector<std::byte> packed(const Survey& survey);
template <class T>
T unpacked(std::span<const std::byte> bytes);

}  // namespace winnow
