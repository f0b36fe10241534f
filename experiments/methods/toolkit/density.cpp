#include "experiments/methods/toolkit/density.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "core/error.h"

namespace winnow {
namespace {

PrunedTensor described(ParamId id, std::span<const ParamSpec> specs) {
  const ParamSpec& spec = specs[static_cast<std::size_t>(id)];
  std::int64_t cost = 0;
  for (const ParamSpec& added : specs) {
    if (added.paid_by == id && !added.retired) cost += added.shape.numel();
  }
  const Shape& shape = spec.layer_shape.rank() > 0 ? spec.layer_shape : spec.shape;
  const std::string& layer = spec.layer.empty() ? spec.name : spec.layer;
  return {id, spec.name, layer, shape, spec.shape.numel(), cost};
}

std::vector<std::optional<double>> named_densities(const Settings& settings, const std::vector<PrunedTensor>& tensors) {
  std::vector<std::optional<double>> fixed(tensors.size());
  const auto fix = [&](const std::string& name, double density, const char* key) {
    std::optional<double>& own = fixed[position_of(name, tensors, key)];
    // By another name, or in both lists: which one is meant would depend on their order.
    if (own) fail(ErrorKind::Settings, "method.{}: layer '{}' has a density of its own already, {}", key, name, *own);
    own = density;
  };
  for (const std::string& name : settings.texts("keep_dense")) fix(name, 1.0, "keep_dense");
  for (const auto& [name, density] : settings.named_reals("layer_density")) fix(name, density, "layer_density");
  return fixed;
}

// The sparsity of the tensors without a density of their own, if `density` is to hold for all tensors together.
double remaining_sparsity(double density, const std::vector<PrunedTensor>& tensors,
                          const std::vector<std::optional<double>>& fixed) {
  std::int64_t all = 0, rest = 0, taken = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    all += tensors[t].numel;
    if (fixed[t]) {
      taken += kept_count(tensors[t].numel, sparsity_of(*fixed[t]));
    } else {
      rest += tensors[t].numel;
    }
  }
  const std::int64_t wanted = kept_count(all, sparsity_of(density)) - taken;
  if (rest == 0 || wanted <= 0 || wanted > rest) {
    const auto share = [all](std::int64_t count) { return static_cast<double>(count) / static_cast<double>(all); };
    fail(ErrorKind::Settings,
         "method.density: {} cannot be reached over all {} prunable weights: the layers with their "
         "own density keep {}; reachable: {}{:.6g}, {:.6g}]",
         density, all, taken, rest > 0 ? '(' : '[', share(taken), share(taken + rest));
  }
  // Half a weight keeps floor() away from the edge of the integer that is meant.
  return (static_cast<double>(rest - wanted) + (wanted < rest ? 0.5 : 0.0)) / static_cast<double>(rest);
}

}  // namespace

std::size_t position_of(const std::string& name, const std::vector<PrunedTensor>& tensors, const char* key) {
  const auto is_weight = [](const PrunedTensor& tensor) { return tensor.weight; };
  const auto weights = std::ranges::count_if(tensors, is_weight);  // they come before the biases
  if (name == "first" && weights > 0) return 0;
  if (name == "last" && weights > 0) return static_cast<std::size_t>(weights) - 1;
  std::vector<std::string> known = {"first", "last"};
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (tensors[t].name == name || tensors[t].layer == name) return t;
    known.push_back(tensors[t].layer);
  }
  fail(ErrorKind::Settings, "method.{}: no prunable layer '{}'{}", key, name, did_you_mean(name, known, "; "));
}

std::vector<PrunedTensor> pruned_tensors(TrainState& state) {
  std::vector<PrunedTensor> tensors;
  for (const ParamId id : state.prunable()) {
    tensors.push_back(described(id, state.params().specs()));
  }
  return tensors;
}

std::vector<PrunedTensor> pruned_tensors(std::span<const ParamSpec> params) {
  std::vector<PrunedTensor> tensors;
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (params[i].prunable && !params[i].retired) tensors.push_back(described(ParamId(i), params));
  }
  return tensors;
}

DensityTarget::Counts DensityTarget::before_costs(const std::vector<PrunedTensor>& tensors) const {
  Counts result{.own = std::vector<std::optional<std::int64_t>>(tensors.size())};
  std::int64_t sharing = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (sparsity[t]) {
      result.own[t] = std::max<std::int64_t>(kept_count(tensors[t].numel, *sparsity[t]), least());
    } else {
      sharing += tensors[t].numel;
    }
  }
  result.shared = kept_count(sharing, shared);
  return result;
}

DensityTarget::Counts DensityTarget::counts(const std::vector<PrunedTensor>& tensors) const {
  Counts result = before_costs(tensors);
  struct Payer {
    std::int64_t* kept;
    std::int64_t spare;  // what it keeps beyond its least
  };
  std::vector<Payer> payers;
  std::int64_t cost = 0, spare = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    cost += tensors[t].cost;
    if (!sparsity[t] || *sparsity[t] == 0) continue;
    payers.push_back({&*result.own[t], *result.own[t] - least()});
  }
  if (shared > 0) payers.push_back({&result.shared, result.shared});
  for (const Payer& payer : payers) spare += payer.spare;
  if (cost == 0 || payers.empty()) return result;
  if (cost > spare) {
    fail(ErrorKind::Settings,
         "method.density: the {} weights that may stay do not pay for the {} parameters of the "
         "filter bases; a larger density, fewer bases (interspace.sharing) or "
         "interspace.equal_parameters false can",
         spare, cost);
  }
  // Shares of running sums: each is rounded, their sum is exact.
  std::int64_t seen = 0, paid = 0;
  for (const Payer& payer : payers) {
    seen += payer.spare;
    const std::int64_t due = cost * seen / spare;
    *payer.kept -= due - std::exchange(paid, due);
  }
  return result;
}

bool DensityTarget::keeps_all(const std::vector<PrunedTensor>& tensors) const {
  const Counts kept = before_costs(tensors);
  std::int64_t sharing = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (!kept.own[t]) sharing += tensors[t].numel;
    if (kept.own[t] && *kept.own[t] != tensors[t].numel) return false;
  }
  return kept.shared == sharing;
}

DensityTarget DensityTarget::mapped(const std::function<double(double)>& f) const {
  DensityTarget result = *this;
  result.shared = f(shared);
  for (auto& own : result.sparsity) {
    if (own) own = f(*own);
  }
  return result;
}

Schema density_schema() {
  using Kind = Setting::Kind;
  return {
      {.key = "density",
       .kind = Kind::Real,
       .fallback = std::nullopt,
       .range = Range{0, 1, true},
       .unit = "share",
       .meaning = "share of the prunable weights that is kept: N - floor((1 - density) * N) of N",
       .source = "ours: one name and one count rule for all methods"},
      {.key = "keep_dense",
       .kind = Kind::TextList,
       .fallback = "[]",
       .meaning = "layers that stay dense but are counted: first, last, or names such as conv1",
       .source = "Evci et al. 2020 (first), Gale et al. 2019 (first, last)",
       .is_set = true},
      {.key = "layer_density",
       .kind = Kind::NamedReals,
       .fallback = "[]",
       .range = Range{0, 1, true},
       .meaning = "layers with a density of their own, each as layer=density: last=0.2",
       .source = "Gale et al. 2019 (last=0.2)",
       .is_set = true},
      {.key = "density_over",
       .kind = Kind::Choice,
       .fallback = "rest",
       .choices = {"rest", "all"},
       .meaning = "what density is a share of: the layers without a density of their own, or all",
       .source = "rest: google-research/rigl; all: ours, for comparisons at equal total density",
       .read_when = {{unless("keep_dense", {"[]"})}, {unless("layer_density", {"[]"})}}},
  };
}

Schema distribution_schema(const std::string& fallback, ReadWhen read_when) {
  using Kind = Setting::Kind;
  return {
      {.key = "distribution",
       .kind = Kind::Choice,
       .fallback = fallback,
       .choices = {"uniform", "er", "erk"},
       .meaning = "how the density is spread over layers: equally, or in proportion to "
                  "(in + out) / (in * out) without (er) or with (erk) the kernel's extents",
       .source = "Mocanu et al. 2018 (er), Evci et al. 2020 (erk)",
       .read_when = std::move(read_when)},
      {.key = "power",
       .kind = Kind::Real,
       .fallback = "1",
       .range = Range{0, 4},
       .meaning = "exponent of that proportion; 0 makes er and erk uniform",
       .source = "google-research/rigl (erk_power_scale)",
       .read_when = {{where("distribution", {"er", "erk"})}}},
  };
}

Setting scope_setting(const std::string& fallback) {
  return {.key = "scope",
          .kind = Setting::Kind::Choice,
          .fallback = fallback,
          .choices = {"global", "layer"},
          .meaning = "whether scores are compared over all layers, or in each by its own count",
          .source = "ShrinkBench, Synaptic-Flow"};
}

Scope scope_of(const Settings& settings) {
  if (settings.has("scope")) {
    return settings.text("scope") == "global" ? Scope::Global : Scope::Layer;
  }
  return settings.has("distribution") ? Scope::Layer : Scope::Global;
}

DensityTarget density_target(const Settings& settings, const std::vector<PrunedTensor>& tensors, Scope scope) {
  const auto fixed = named_densities(settings, tensors);
  const double density = settings.real("density");
  DensityTarget target;
  target.sparsity.resize(tensors.size());
  target.shared =
      settings.text("density_over") == "all" ? remaining_sparsity(density, tensors, fixed) : sparsity_of(density);
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (fixed[t]) target.sparsity[t] = sparsity_of(*fixed[t]);
  }
  if (scope == Scope::Global) return target;

  target.min_one = true;
  const Distribution distribution = distribution_of(settings.text("distribution"));
  std::vector<LayerSize> sizes;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    sizes.push_back({tensors[t].shape, tensors[t].numel, fixed[t]});
  }
  const Allocation spread = allocate(distribution, target.shared, sizes, settings.real("power"));
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (fixed[t]) continue;
    target.sparsity[t] = distribution == Distribution::Uniform ? target.shared : 1.0 - spread.densities[t];
  }
  return target;
}

double kept_share(std::int64_t total, std::int64_t staying, std::int64_t pruned, double compression) {
  return (static_cast<double>(total) / compression - static_cast<double>(staying)) / static_cast<double>(pruned);
}

std::vector<std::int64_t> in_proportion(std::int64_t total, const std::vector<std::int64_t>& weights) {
  std::int64_t all = 0, seen = 0, given = 0;
  for (const std::int64_t weight : weights) all += weight;
  std::vector<std::int64_t> shares;
  for (const std::int64_t weight : weights) {
    seen += weight;
    // Shares of running sums: each is rounded, their sum is exact. In double: the product may pass 64 bits.
    const auto due = all == 0 ? 0
                              : static_cast<std::int64_t>(std::llround(
                                    static_cast<double>(total) * static_cast<double>(seen) / static_cast<double>(all)));
    shares.push_back(due - std::exchange(given, due));
  }
  return shares;
}

MaskForecast::Counts expected_counts(const DensityTarget& target, const std::vector<PrunedTensor>& tensors) {
  const DensityTarget::Counts kept = target.counts(tensors);
  std::vector<std::int64_t> sharing;
  for (std::size_t t = 0; t < tensors.size(); ++t) sharing.push_back(kept.own[t] ? 0 : tensors[t].numel);
  const std::vector<std::int64_t> shares = in_proportion(kept.shared, sharing);
  MaskForecast::Counts counts;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    counts.emplace_back(tensors[t].id, kept.own[t] ? *kept.own[t] : shares[t]);
  }
  return counts;
}

template <class T>
std::vector<Bits> select(const DensityTarget& target, const std::vector<PrunedTensor>& tensors,
                         const std::vector<std::vector<T>>& scores) {
  const DensityTarget::Counts kept = target.counts(tensors);
  std::vector<Bits> masks(tensors.size());
  std::vector<std::vector<T>> sharing;
  std::vector<std::string> names;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (kept.own[t]) {
      masks[t] = top_k(std::vector<std::vector<T>>{scores[t]}, *kept.own[t], {tensors[t].name}).front();
    } else {
      sharing.push_back(scores[t]);
      names.push_back(tensors[t].name);
    }
  }
  std::vector<Bits> together = top_k(sharing, kept.shared, names);
  std::size_t next = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (!kept.own[t]) masks[t] = std::move(together[next++]);
  }
  return masks;
}
template std::vector<Bits> select(const DensityTarget&, const std::vector<PrunedTensor>&,
                                  const std::vector<std::vector<float>>&);
template std::vector<Bits> select(const DensityTarget&, const std::vector<PrunedTensor>&,
                                  const std::vector<std::vector<double>>&);

}  // namespace winnow
