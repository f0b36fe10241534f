// Small trial results for the tests of result files.
#pragma once

#include <string>

#include "experiments/trial.h"
#include "tests/temporary_folder.h"

namespace winnow::test {

inline constexpr const char* kCreated = "2026-11-21T12:00:00Z";

SeededInit seeded_normal(const std::string& name, std::int64_t fan_in);
std::vector<float> generated(const SeededInit& seeded, std::int64_t count);

WeightRecord dense_weight(const std::string& name, Shape shape);
WeightRecord pruned_weight(const std::string& name, Shape shape,
                           double density);  // every value kept or zero
WeightRecord frozen_weight(const std::string& name, Shape shape,
                           double trained);  // a share has moved
WeightRecord supermask_weight(const std::string& name, Shape shape,
                              double density);  // seed under a mask
WeightRecord signed_weight(const std::string& name, Shape shape,
                           double density);  // one magnitude, no seed

// A method's own form: three levels, one table a row, under a mask.
WeightRecord coded_weight(const std::string& name, Shape shape, double density);
WeightRecord cut_weight(const std::string& name);  // 5 of 70 rows and 2 of 3 columns are left

// "aa00..." + number; accuracy and method as given, density 1 for dense.
TrialResult sample_trial(int number = 1, const std::string& method = "rigl", const std::string& density = "0.1",
                         int replicate = 0, double accuracy = 0.9);

}  // namespace winnow::test
