// How a density is spread over layers: uniform, Erdos-Renyi (ER) or Erdos-Renyi with kernels (ERK).
// Pure functions of shapes, used when methods run and when sweeps are planned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/shape.h"

namespace winnow {

enum class Distribution : std::uint8_t { Uniform, Er, Erk };
Distribution distribution_of(const std::string& name);

struct LayerSize {
  Shape shape;                       // {O, I, KH, KW} or {out, in}
  std::int64_t numel;                // entries of the tensor that is pruned; differs from shape's for coefficients
  std::optional<double> fixed = {};  // a density given by name: takes no part in the allocation
};

struct Allocation {
  std::vector<double> densities;
  double epsilon = 0;              // ER and ERK: density = epsilon * raw probability
  std::vector<std::size_t> dense;  // layers the allocation made dense
};

Allocation allocate(Distribution distribution, double sparsity, const std::vector<LayerSize>& layers, double power = 1);

}  // namespace winnow
