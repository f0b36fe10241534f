// Interspace pruning: each KxK filter is a combination of a trained filter basis that many filters
// share; a mask method that is composed with it prunes the coefficients in place of the filters' entries.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_tools.h"

namespace winnow {
namespace {

// A random orthonormal matrix: Gram-Schmidt on normal rows, twice, in double.
std::vector<double> random_orthonormal(std::size_t n, const RngKey& key) {
  std::vector<double> rows(n * n);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<double>(normal_at(key, i));
  for (std::size_t r = 0; r < n; ++r) {
    double* row = &rows[r * n];
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t other = 0; other < r; ++other) {
        double dot = 0;
        for (std::size_t i = 0; i < n; ++i) dot += row[i] * rows[other * n + i];
        for (std::size_t i = 0; i < n; ++i) row[i] -= dot * rows[other * n + i];
      }
    }
    double square = 0;
    for (std::size_t i = 0; i < n; ++i) square += row[i] * row[i];
    for (std::size_t i = 0; i < n; ++i) row[i] /= std::sqrt(square);
  }
  return rows;
}

class Interspace final : public Method {
 public:
  explicit Interspace(const Settings& settings)
      : sharing_(settings.text("sharing")),
        orthonormal_(settings.text("basis") == "ortho"),
        train_basis_(settings.flag("train_basis")),
        renorm_(settings.flag("renorm")),
        scale_by_norm_(settings.flag("scale_by_norm")),
        equal_parameters_(settings.flag("equal_parameters")) {}

  Touches touches() const override { return {.weights_source = true}; }

  void edit(GraphEditor& editor) override {
    bases_.clear();
    std::map<std::string, std::size_t> shared;  // by what the sharing layers have in common
    for (const Layer& layer : editor.layers()) {
      if (!layer.convolution || !editor.is_param(layer.weight)) continue;
      const ParamId id = editor.owner(layer.weight);
      const Shape shape = editor.model().param(id).shape;
      if (!editor.model().param(id).prunable || shape[2] != shape[3] || shape[2] < 2) continue;
      const auto [found, is_new] = shared.try_emplace(group_of(editor, layer, shape[2]), bases_.size());
      if (is_new) bases_.push_back(add_basis(editor, found->first, shape[2] * shape[3]));
      Basis& basis = bases_[found->second];
      basis.coefficients.push_back(id);
      editor.model().param(id).role = ParamRole::Coefficient;
      if (scale_by_norm_) editor.model().param(id).compared = times_row_norms_of(basis.id);
      editor.derive(id, [&](ValueId leaf) {
        return editor.graph().emit1("basis_combine", {leaf, editor.model().param(basis.id).value}, {},
                                    layer.name + ".interspace");
      });
    }
    if (bases_.empty()) {
      fail(ErrorKind::Settings, "method.with.interspace: model '{}' has no convolution larger than 1x1",
           editor.model().name);
    }
    if (equal_parameters_) charge(editor.model());
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength&) const override {
    for (const Basis& basis : bases_) {
      forecast.rewritten.emplace_back(basis.id, orthonormal_ ? basis.n * basis.n : basis.n);
      if (!orthonormal_) continue;
      for (const ParamId id : basis.coefficients) forecast.rewritten.emplace_back(id, edited.param(id).shape.numel());
    }
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when == When::Begin && moment.phase == 0) start(state);
    if (moment.when == When::EpochEnd && renorm_) renormalise(state.params());
    return Verdict::Update;
  }

 private:
  struct Basis {
    ParamId id;
    std::int64_t n;  // entries of a filter
    std::vector<ParamId> coefficients;
  };

  // Layers of one group share a basis: none (fine), those of equal output size (medium), all of one kernel size.
  std::string group_of(GraphEditor& editor, const Layer& layer, std::int64_t kernel) const {
    if (sharing_ == "fine") return layer.name;
    const Shape& out = editor.graph().value(layer.out).shape;
    if (sharing_ == "medium") return fmt::format("basis{}x{}.{}x{}", kernel, kernel, out[1], out[2]);
    return fmt::format("basis{}x{}", kernel, kernel);
  }

  Basis add_basis(GraphEditor& editor, const std::string& group, std::int64_t n) const {
    const ParamId id = editor.build().param({.name = group + ".basis",
                                             .shape = {n, n},
                                             .role = ParamRole::Basis,
                                             .trainable = train_basis_,
                                             .decay = 0,  // decay on both factors would only fight their scale
                                             .layer = sharing_ == "fine" ? group : ""});
    return {id, n, {}};
  }

  // Each basis is paid for by the largest layer that uses it.
  void charge(Model& model) const {
    for (const Basis& basis : bases_) {
      ParamId largest = basis.coefficients.front();
      for (const ParamId id : basis.coefficients) {
        if (model.param(id).shape.numel() > model.param(largest).shape.numel()) largest = id;
      }
      model.param(basis.id).paid_by = largest;
    }
  }

  // The identity, or a random orthonormal basis with coefficients that give the same filters. A
  // basis that has values comes from a start file, where coefficients stand next to it: they go on.
  void start(TrainState& state) const {
    ParamStore& params = state.params();
    for (const Basis& basis : bases_) {
      const auto n = static_cast<std::size_t>(basis.n);
      const std::span<float> f = params.change(basis.id);
      if (std::ranges::any_of(f, [](float value) { return value != 0; })) continue;
      if (!orthonormal_) {
        for (std::size_t i = 0; i < f.size(); ++i) f[i] = i % (n + 1) == 0 ? 1.0f : 0.0f;
        continue;
      }
      const std::string& name = params.specs()[static_cast<std::size_t>(basis.id)].name;
      const std::vector<double> rows = random_orthonormal(n, state.rng("interspace/" + name));
      for (std::size_t i = 0; i < f.size(); ++i) f[i] = static_cast<float>(rows[i]);
      for (const ParamId id : basis.coefficients) {
        const std::span<float> all = params.change(id);
        std::vector<double> filter(n);
        for (std::size_t at = 0; at < all.size(); at += n) {
          for (std::size_t m = 0; m < n; ++m) filter[m] = static_cast<double>(all[at + m]);
          for (std::size_t k = 0; k < n; ++k) {
            double dot = 0;
            for (std::size_t m = 0; m < n; ++m) dot += filter[m] * rows[k * n + m];
            all[at + k] = static_cast<float>(dot);
          }
        }
      }
    }
  }

  // Basis filters of unit norm; the coefficients take the norms over, so the function stays.
  void renormalise(ParamStore& params) const {
    for (const Basis& basis : bases_) {
      const auto n = static_cast<std::size_t>(basis.n);
      const std::span<float> f = params.change(basis.id);
      if (f.empty()) continue;
      const std::vector<double> norms = row_norms(f, basis.n);
      for (std::size_t k = 0; k < n; ++k) {
        if (norms[k] == 0) continue;
        const auto norm = static_cast<float>(norms[k]);
        for (float& x : f.subspan(k * n, n)) x /= norm;
        for (const ParamId id : basis.coefficients) {
          const std::span<float> all = params.change(id);
          for (std::size_t at = k; at < all.size(); at += n) all[at] *= norm;
        }
      }
    }
  }

  std::string sharing_;
  bool orthonormal_, train_basis_, renorm_, scale_by_norm_, equal_parameters_;
  std::vector<Basis> bases_;
};

}  // namespace

MethodDef interspace() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "interspace";
  def.version = 2;  // 2: every layer pays for the bases
  def.meaning = "filters are combinations of trained filter bases; masks act on the coefficients";
  def.source = "Interspace Pruning, CVPR 2022, arXiv 2203.07808";
  def.schema = {
      {.key = "sharing",
       .kind = Kind::Choice,
       .fallback = "fine",
       .choices = {"fine", "medium", "coarse"},
       .meaning = "a basis for each layer, for each resolution, or for each kernel size",
       .source = "arXiv 2203.07808"},
      {.key = "basis",
       .kind = Kind::Choice,
       .fallback = "standard",
       .choices = {"standard", "ortho"},
       .meaning = "start with the identity, or with a random orthonormal basis (same function)",
       .source = "ours: both keep the initial function"},
      {.key = "train_basis",
       .kind = Kind::Bool,
       .fallback = "true",
       .meaning = "false: the bases stay as they start; with standard that is ordinary pruning",
       .source = "arXiv 2203.07808 (ablation)"},
      {.key = "renorm",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "after each epoch basis filters get unit norm and coefficients the inverse",
       .source = "ours: optional"},
      {.key = "scale_by_norm",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "methods that prune by magnitude compare |coefficient| times the norm of its "
                  "basis filter, in place of |coefficient|",
       .source = "ours: for bases that are not orthonormal"},
      {.key = "equal_parameters",
       .kind = Kind::Bool,
       .fallback = "true",
       .meaning = "keep K^4 coefficients less for each basis, so that a density means equal parameters",
       .source = "arXiv 2203.07808 (equal parameter costs)"},
  };
  def.make = [](const Settings& s) { return std::make_unique<Interspace>(s); };
  def.example = {.model = "resnet20"};
  return def;
}

}  // namespace winnow
