#include "experiments/methods/toolkit/allocation.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/methods/toolkit/selection.h"

namespace winnow {
namespace {

double raw_probability(Distribution distribution, const Shape& shape, double power) {
  double sum = 0, product = 1;
  const int axes = distribution == Distribution::Er ? std::min(shape.rank(), 2) : shape.rank();
  for (int axis = 0; axis < axes; ++axis) {
    sum += static_cast<double>(shape[axis]);
    product *= static_cast<double>(shape[axis]);
  }
  return std::pow(sum / product, power);
}

// The scale at which the layers that are still free meet the target, given the dense ones.
double scale(const std::vector<LayerSize>& layers, const std::vector<double>& raw, const std::vector<bool>& dense,
             double sparsity) {
  double rhs = 0, divisor = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l].fixed) continue;
    const std::int64_t ones = kept_count(layers[l].numel, sparsity);
    if (dense[l]) {
      rhs -= static_cast<double>(layers[l].numel - ones);
    } else {
      rhs += static_cast<double>(ones);
      divisor += raw[l] * static_cast<double>(layers[l].numel);
    }
  }
  return divisor > 0 ? rhs / divisor : 0;
}

}  // namespace

Distribution distribution_of(const std::string& name) {
  if (name == "uniform") return Distribution::Uniform;
  if (name == "er") return Distribution::Er;
  if (name == "erk") return Distribution::Erk;
  fail(ErrorKind::Settings, "unknown distribution '{}'; allowed: uniform, er, erk", name);
}

Allocation allocate(Distribution distribution, double sparsity, const std::vector<LayerSize>& layers, double power) {
  Allocation result;
  for (const LayerSize& layer : layers) {
    result.densities.push_back(layer.fixed.value_or(1.0 - sparsity));
  }
  if (distribution == Distribution::Uniform) return result;

  std::vector<double> raw;
  for (const LayerSize& layer : layers) {
    raw.push_back(raw_probability(distribution, layer.shape, power));
  }
  std::vector<bool> dense(layers.size(), false);
  while (true) {
    result.epsilon = scale(layers, raw, dense, sparsity);
    double largest = 0;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (!dense[l] && !layers[l].fixed) largest = std::max(largest, raw[l]);
    }
    if (largest == 0 || result.epsilon * largest <= 1) break;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (!layers[l].fixed && raw[l] == largest) dense[l] = true;
    }
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l].fixed) continue;
    result.densities[l] = dense[l] ? 1.0 : result.epsilon * raw[l];
    if (dense[l]) result.dense.push_back(l);
  }
  return result;
}

}  // namespace winnow
