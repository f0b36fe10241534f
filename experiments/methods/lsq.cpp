// Learned step size quantisation: layers compute with weights of few bits from the first step on, the multiples of a step
// that is trained with them. What is stored is their codes and the steps. Activations stay as they are.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/codebook.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/exempt_layers.h"
#include "kernels/functors/lsq.h"

namespace winnow {
namespace {

constexpr double kLeastStep = 1e-8;
constexpr std::int64_t kBesideBits = 32;  // the step, from which all levels follow

class LearnedSteps final : public Method {
 public:
  explicit LearnedSteps(const Settings& settings)
      : bits_(settings.integer("bits")),
        low_(-(std::int64_t{1} << (bits_ - 1))),
        high_(-low_ - 1),
        keep_(settings.texts("keep")) {}

  Touches touches() const override { return {.weights_source = true, .stored_form = true}; }

  void edit(GraphEditor& editor) override {
    steps_.clear();
    for (const ParamId id : without_exempt(editor.model().params, keep_)) {
      const std::string layer = editor.model().param(id).layer;
      const ParamId step = editor.build().param({.name = layer + ".step",
                                                 .shape = {1},
                                                 .role = ParamRole::Coefficient,
                                                 .init = {InitSpec::Kind::Constant},
                                                 .decay = 0,
                                                 .layer = layer});
      const ValueId s = editor.model().param(step).value;
      editor.derive(id, [&](ValueId v) {
        return editor.graph().emit1("lsq", {v, s}, {{"low", low_}, {"high", high_}}, layer + ".quantised");
      });
      steps_.push_back({id, step});
    }
  }

  // A step stays positive.
  void edit_update(UpdateGraph& update) override {
    for (const Quantised& each : steps_) {
      update.then(each.step, [&](ValueId value) {
        return update.graph().emit1("at_least", {value}, {{"value", kLeastStep}}, "lsq.step");
      });
    }
  }

  void forecast(MaskForecast& forecast, const Model&, const RunLength&) const override {
    for (const Quantised& each : steps_) forecast.codes.push_back({each.weight, bits_, kBesideBits});
    forecast.upper_bound = true;  // how many weights round to zero
  }

  // Steps that have a value come from a start file.
  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when != When::Begin) return Verdict::Update;
    ParamStore& params = state.params();
    for (const Quantised& each : steps_) {
      const auto v = params.weight(each.weight), step = params.weight(each.step);
      if (step.empty() || step[0] != 0) continue;
      const double sum = std::accumulate(v.begin(), v.end(), 0.0, [](double s, float w) { return s + std::fabs(w); });
      const double start = 2 * sum / static_cast<double>(v.size()) / std::sqrt(static_cast<double>(high_));
      params.change(each.step)[0] = static_cast<float>(std::max(start, kLeastStep));
    }
    return Verdict::Update;
  }

  std::optional<Encoded> encode(ParamId id, const ParamStore& params) override {
    const auto found = std::ranges::find(steps_, id, &Quantised::weight);
    if (found == steps_.end()) return std::nullopt;
    const auto v = params.weight(id), step = params.weight(found->step);
    const auto keep = params.mask(id, MaskKind::Keep);
    const StepGrid grid{step.data(), static_cast<float>(low_), static_cast<float>(high_), step[0]};
    std::vector<std::uint32_t> codes;
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (!keep.empty() && keep[i] == 0) continue;
      codes.push_back(static_cast<std::uint32_t>(static_cast<std::int64_t>(grid.code(v[i])) - low_));
    }
    std::vector<float> table;
    for (std::int64_t code = low_; code <= high_; ++code) table.push_back(static_cast<float>(code) * grid.s);
    Encoded form = codebook(codes, table, std::ssize(table));
    form.attributes["step"] = static_cast<double>(grid.s);
    form.bits = bits_ * std::ssize(codes) + kBesideBits;
    return form;
  }

  void report(TrainState& state, Facts& facts) const override {
    std::vector<float> steps;
    for (const Quantised& each : steps_) {
      const auto step = state.params().weight(each.step);
      if (!step.empty()) steps.push_back(step[0]);  // not of a layer that another method took out
    }
    if (steps.empty()) return;
    const auto [low, high] = std::ranges::minmax(steps);
    facts["method.step_min"] = static_cast<double>(low);
    facts["method.step_max"] = static_cast<double>(high);
  }

 private:
  struct Quantised {
    ParamId weight, step;
  };
  std::int64_t bits_, low_, high_;  // levels are low_ to high_ steps
  std::vector<std::string> keep_;
  std::vector<Quantised> steps_;
};

}  // namespace

MethodDef lsq() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "lsq";
  def.meaning =
      "trains with weights of few bits, the multiples of a step that is trained with them for each layer; activations "
      "are not quantised";
  def.source = "Esser et al. 2020, learned step size quantization, for weights";
  def.schema = {
      {.key = "bits",
       .kind = Kind::Int,
       .fallback = "4",
       .range = Range{2, 8},
       .unit = "bits",
       .meaning = "bits of a weight: its levels are -2^(bits-1) to 2^(bits-1) - 1 steps",
       .source = "2, 3, 4 and 8 in the paper"},
      exempt_setting(),
  };
  def.make = [](const Settings& s) { return std::make_unique<LearnedSteps>(s); };
  return def;
}

}  // namespace winnow
