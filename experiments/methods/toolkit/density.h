// The settings that say how many weights stay, and the counts they mean for a given set of tensors.
// Pure; the same code answers when a sweep is planned and when a method runs.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/method.h"
#include "core/model.h"
#include "core/settings.h"
#include "experiments/methods/toolkit/allocation.h"
#include "experiments/methods/toolkit/selection.h"

namespace winnow {

// A member of the prunable set. `shape` is that of the layer's weight, whatever tensor holds its values.
struct PrunedTensor {
  ParamId id{0};
  std::string name;
  std::string layer;
  Shape shape = {};
  std::int64_t numel = 0;
  std::int64_t cost = 0;  // entries given up to pay for added parameters (ParamSpec::paid_by)
  bool weight = true;     // false: a bias, which some methods prune too; never "first" or "last"
};
std::vector<PrunedTensor> pruned_tensors(TrainState& state);
std::vector<PrunedTensor> pruned_tensors(std::span<const ParamSpec> params);

// What each tensor loses.
struct DensityTarget {
  std::vector<std::optional<double>> sparsity;  // of one tensor; nothing: it shares `shared`
  double shared = 0;                            // of the sharing tensors taken together
  bool min_one = false;                         // a tensor with its own sparsity keeps at least one entry

  // Entries that stay. The costs of all tensors are paid by those that lose entries, in proportion
  // to what they keep: a small layer could not pay for its own basis. Throws Error{Settings} if they cannot.
  struct Counts {
    std::vector<std::optional<std::int64_t>> own;  // of one tensor; nothing: it shares `shared`
    std::int64_t shared = 0;                       // of the sharing tensors taken together
  };
  Counts counts(const std::vector<PrunedTensor>& tensors) const;
  bool keeps_all(const std::vector<PrunedTensor>& tensors) const;
  DensityTarget mapped(const std::function<double(double sparsity)>& f) const;

 private:
  std::int64_t least() const { return min_one ? 1 : 0; }
  Counts before_costs(const std::vector<PrunedTensor>& tensors) const;
};

enum class Scope : std::uint8_t { Global, Layer };

// `density`, `keep_dense`, `layer_density`, `density_over`; with a distribution also `distribution`, `power`.
Schema density_schema();
Schema distribution_schema(const std::string& fallback, ReadWhen read_when = {});
Setting scope_setting(const std::string& fallback);
// As the setting `scope` says; without it, Layer for methods with a distribution and Global for others.
Scope scope_of(const Settings& settings);

// Throws Error{Settings} if a named tensor does not exist or the density cannot be reached.
DensityTarget density_target(const Settings& settings, const std::vector<PrunedTensor>& tensors, Scope scope);
// What each tensor keeps under `target`, for a forecast: exact for tensors with a sparsity of their own. How the
// others share is known only with their scores, so each is given the same density; their sum is exact.
MaskForecast::Counts expected_counts(const DensityTarget& target, const std::vector<PrunedTensor>& tensors);
// The share of `pruned` entries to keep, so that `total` parameters over those that stay are `compression`: the pruned
// ones kept and the `staying` others. Not in (0, 1] where that cannot be reached.
double kept_share(std::int64_t total, std::int64_t staying, std::int64_t pruned, double compression);
// `total` entries over tensors in proportion to `weights` (of the same order), none above its weight.
std::vector<std::int64_t> in_proportion(std::int64_t total, const std::vector<std::int64_t>& weights);
// The entries with the best scores under `target`. T is float or double.
template <class T>
std::vector<Bits> select(const DensityTarget& target, const std::vector<PrunedTensor>& tensors,
                         const std::vector<std::vector<T>>& scores);

}  // namespace winnow
