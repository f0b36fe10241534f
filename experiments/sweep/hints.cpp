#include "experiments/sweep/hints.h"

#include <fmt/format.h>

namespace winnow {

std::string hint_for(std::string_view key, std::string_view value) {
  for (const std::string_view section : {"data", "model", "method"}) {
    if (key == section && value.empty())
      return fmt::format("'{0}' belongs under 'trial:', as in 'trial: {{{0}: {{name: ...}}}}'", key);
    if (key == section) return fmt::format("'{0}' is a map: '{0}: {{name: {1}}}'", key, value.empty() ? "..." : value);
  }
  const std::string_view leaf = key.substr(key.rfind('.') + 1);
  if (leaf == "seed" || leaf == "seeds") {
    return "seeds follow from a trial's settings and its replicate; '- replicate: 3' under axes gives three";
  }
  if (leaf == "sparsity") {
    return "'method.density' is the share that is kept, 1 - sparsity   (winnow explain method.density)";
  }
  if (leaf == "amp" || leaf == "dtype" || leaf == "fp16" || leaf == "bf16") {
    return "'train.precision' says what training computes in   (winnow explain train.precision)";
  }
  return {};
}

std::string hint_for_values(std::string_view key, std::string_view value, bool in_trial) {
  if (!in_trial || !value.starts_with('[') || !value.ends_with(']') || value == "[]") return {};
  return fmt::format("to try several values write an axis: 'axes: [{{{}: {}}}]'", key, value);
}

}  // namespace winnow
