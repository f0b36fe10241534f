// A `sample` section of a sweep file, checked: {kind: sobol, n: 8, seed: 7, space: {key: {uniform: [0, 1]}}}.
#pragma once

#include <optional>
#include <vector>

#include "experiments/sweep/sample.h"
#include "experiments/sweep/tree.h"

namespace winnow {

struct SampleRequest {
  SampleKind kind = SampleKind::Sobol;
  std::size_t n = 0;
  std::vector<std::size_t> keep = {};  // of lhs: of how many points the first ones are those
  std::uint64_t seed = 0;
  std::vector<SampleDistribution> space;
  std::vector<Place> places;  // of each key of the space
};

std::optional<SampleRequest> read_sample(const YamlNode& node, Diagnostics& problems);

}  // namespace winnow
