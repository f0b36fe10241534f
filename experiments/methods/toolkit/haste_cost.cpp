#include "experiments/methods/toolkit/haste_cost.h"

namespace winnow {
namespace {

double products(const HastePatch& p, double channels) {
  return 2 * static_cast<double>(p.tile * p.tile * p.taps * p.filters) * channels;
}

}  // namespace

double haste_operations(const HastePatch& p, double left) {
  const auto channels = static_cast<double>(p.channels), places = static_cast<double>(p.patch);
  const double centre = 2 * channels * places;
  const double hash = channels * static_cast<double>(p.bits) * places * (1 - p.zeros);
  const double inputs = channels * places;
  const double filters = static_cast<double>(p.filters * p.taps) * (channels - left);
  return centre + hash + inputs + filters + products(p, left);
}

double dense_operations(const HastePatch& p) { return products(p, static_cast<double>(p.channels)); }

}  // namespace winnow
