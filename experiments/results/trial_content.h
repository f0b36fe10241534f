// What of a result file counts for its content digest, and in which of it two results differ. Plain functions on open
// files (hdf5.h), for work in a child process (isolated.h).
#pragma once

#include <string>
#include <vector>

#include "experiments/results/hdf5.h"

namespace winnow {

// False for provenance, for what the machine decides (`measured`) and for notes that somebody added at the top.
bool is_trial_content(const Hdf5File& file, const std::string& path);
// Over everything that counts: identity and outcome, and all content.
std::string trial_digest(const Hdf5File& file);

struct ContentDifference {
  std::string object;    // "/metrics/epoch/test_acc"
  std::string what;      // "differs first at 3: 0.5, then 0.25"
  double largest = 0;    // of numbers in the same place
  bool allowed = false;  // every number is within the tolerance
};
// Objects that differ, in the order of their names. Numbers may differ by `tolerance` times the larger of both, or of 1; with one,
// weights are compared as they are when decoded, in whatever form they are stored, and the sizes of forms may differ.
std::vector<ContentDifference> content_differences(const Hdf5File& first, const Hdf5File& second, double tolerance);

}  // namespace winnow
