// Weight compander: every layer's weight is w = a * f(v / b) of a trained v. A device of training
// only: what is stored is w. SGD steps in v; Adam's step is computed in w and carried over to v.
#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

#include "core/error.h"
#include "experiments/methods/registry.h"

namespace winnow {
namespace {

constexpr double kLeastCoefficient = 1e-3;  // a sign change would flip all weights
constexpr double kPoleDistance = 1e-3;      // of |w / a| from the end of the range of arctan and erf

class Compander final : public Method {
 public:
  explicit Compander(const Settings& settings)
      : function_(settings.text("function")),
        coefficients_(settings.text("coefficients")),
        a_(settings.real("a")),
        b_(settings.real("b")) {}

  Touches touches() const override { return {.weights_source = true}; }

  void edit(GraphEditor& editor) override {
    const std::string& optimizer = editor.train().text("optimizer");
    if (optimizer.starts_with("adam") && optimizer != "adam") {
      fail(ErrorKind::Settings,
           "method.name: compander needs train.optimizer sgd, sam or adam, not {}: there is no rule "
           "for a decay of v that is apart from the step",
           optimizer);
    }
    adaptive_ = optimizer == "adam";
    weights_.clear();
    learned_.clear();
    ValueId a = kNoValue, b = kNoValue;
    for (const ParamId id : editor.prunable()) {
      const ParamSpec spec = editor.model().param(id);
      if (coefficients_ == "fine" || (coefficients_ == "coarse" && weights_.empty())) {
        a = coefficient(editor, spec, "compander_a", a_);
        b = coefficient(editor, spec, "compander_b", b_);
      }
      editor.derive(id, [&](ValueId v) {
        return editor.graph().emit1("compander", {v, a, b}, {{"function", function_}, {"a", a_}, {"b", b_}},
                                    spec.layer + ".compander");
      });
      if (decays_here()) editor.model().param(id).decay = 0;
      weights_.push_back({id, spec.layer, editor.train().real("weight_decay") * spec.decay, {}});
      if (!learned_.empty()) {
        weights_.back().learned = {learned_[learned_.size() - 2], learned_.back()};
      }
    }
  }

  // The decay of w is added to gradients after their reduction over ranks, so that it counts once. An adaptive step is
  // computed from dL/dw = g_v / (dw/dv) and then multiplied by dw/dv: the optimiser is given the one, and its step, which
  // it adds to v, is scaled afterwards. Coefficients stay positive.
  void edit_update(UpdateGraph& update) override {
    for (const Companded& weight : weights_) {
      update.before(weight.id, [&](ValueId gradient, ValueId v) {
        if (decays_here() && weight.decay > 0) gradient = decayed(update, weight, gradient, v);
        if (!adaptive_) return gradient;
        const ValueId slope = emit(update, "compander_slope", {v}, weight);
        const std::string name = weight.layer + ".compander.step";
        update.then(weight.id, [&update, v, slope, name](ValueId stepped) {
          return update.graph().emit1("lerp", {v, stepped, slope}, {}, name);
        });
        // Far out the slope of erf is 0.
        return update.graph().emit1("divide_positive", {gradient, slope}, {}, weight.layer + ".compander.gradient");
      });
    }
    for (const ParamId id : learned_) {
      update.then(id, [&](ValueId value) {
        return update.graph().emit1("at_least", {value}, {{"value", kLeastCoefficient}}, "compander.coefficient");
      });
    }
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength&) const override {
    for (const Companded& weight : weights_) {
      forecast.rewritten.emplace_back(weight.id, edited.param(weight.id).shape.numel());
    }
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when == When::Begin && moment.phase == 0) start(state);
    return Verdict::Update;
  }

  void report(TrainState& state, Facts& facts) const override {
    if (learned_.empty()) return;
    double low[2] = {1e30, 1e30}, high[2] = {0, 0};
    for (std::size_t i = 0; i < learned_.size(); ++i) {
      const auto learned = state.params().weight(learned_[i]);
      if (learned.empty()) continue;  // of a layer that another method took out
      const auto value = static_cast<double>(learned[0]);
      low[i % 2] = std::min(low[i % 2], value);
      high[i % 2] = std::max(high[i % 2], value);
    }
    facts["method.a_min"] = low[0];
    facts["method.a_max"] = high[0];
    facts["method.b_min"] = low[1];
    facts["method.b_max"] = high[1];
  }

 private:
  struct Companded {
    ParamId id;
    std::string layer;
    double decay;                                        // of w
    std::optional<std::pair<ParamId, ParamId>> learned;  // a and b
  };

  // The optimiser's own decay acts on v in the same step as the gradient. It does not fit where the
  // decay is that of w (fixed coefficients), nor where the optimiser steps in w (Adam).
  bool decays_here() const { return coefficients_ == "fixed" || adaptive_; }

  ValueId coefficient(GraphEditor& editor, const ParamSpec& weight, const char* name, double start) {
    const std::string owner = coefficients_ == "fine" ? weight.layer + "." : "";
    const ParamId id = editor.build().param({.name = owner + name,
                                             .shape = {1},
                                             .role = ParamRole::Coefficient,
                                             .init = {InitSpec::Kind::Constant, start},
                                             .decay = 0,
                                             .layer = coefficients_ == "fine" ? weight.layer : ""});
    learned_.push_back(id);
    return editor.model().param(id).value;
  }

  // The v that gives the drawn w: the network starts as it would without the method. A start file
  // holds w too, and a and b if they were learned.
  void start(TrainState& state) {
    const auto value_of = [&](ParamId id) { return static_cast<double>(state.params().weight(id)[0]); };
    for (const Companded& weight : weights_) {
      const double a = weight.learned ? value_of(weight.learned->first) : a_;
      const double b = weight.learned ? value_of(weight.learned->second) : b_;
      std::int64_t clamped = 0;
      for (float& value : state.params().change(weight.id)) {
        const double range = function_ == "arctan" ? std::numbers::pi / 2 : 1.0;
        double y = static_cast<double>(value) / a;
        if (function_ != "arsinh" && std::fabs(y) > range - kPoleDistance) {
          y = std::copysign(range - kPoleDistance, y);
          ++clamped;
        }
        const double u = function_ == "arctan"   ? std::tan(y)
                         : function_ == "arsinh" ? std::sinh(y)
                                                 : boost::math::erf_inv(y);
        value = static_cast<float>(b * u);
      }
      if (clamped > 0) state.log("clamped_at_start", weight.layer, static_cast<double>(clamped));
    }
  }

  // g_v = (dL/dw + decay * w) * dw/dv with fixed coefficients, dL/dw * dw/dv + decay * v with learned ones.
  ValueId decayed(UpdateGraph& update, const Companded& weight, ValueId gradient, ValueId v) const {
    if (!weight.learned) return emit(update, "compander_decay", {gradient, v}, weight);
    return update.graph().emit1("add_scaled", {gradient, v}, {{"factor", weight.decay}},
                                weight.layer + ".compander.decay");
  }

  // An op of an update, which has a and b behind the inputs `in`.
  ValueId emit(UpdateGraph& update, const char* op, std::vector<ValueId> in, const Companded& weight) const {
    in.push_back(weight.learned ? update.weight(weight.learned->first) : kNoValue);
    in.push_back(weight.learned ? update.weight(weight.learned->second) : kNoValue);
    return update.graph().emit1(op, in, {{"function", function_}, {"a", a_}, {"b", b_}, {"rate", weight.decay}},
                                weight.layer + "." + op);
  }

  std::string function_, coefficients_;
  double a_, b_;
  bool adaptive_ = false;
  std::vector<Companded> weights_;
  std::vector<ParamId> learned_;  // a and b in turn
};

}  // namespace

MethodDef compander() {
  using Kind = Setting::Kind;
  const Range positive{1e-3, 100};
  MethodDef def;
  def.name = "compander";
  def.version = 3;  // 2: magnitudes are those of the weights in use. 3: train.clip_norm measures gradients before decay
  def.meaning = "trains v with w = a * arctan(v / b): bounded weights, larger updates near zero";
  def.source = "Weight Compander, IJCNN 2023, arXiv 2306.16993";
  def.schema = {
      {.key = "function",
       .kind = Kind::Choice,
       .fallback = "arctan",
       .choices = {"arctan", "arsinh", "erf"},
       .meaning = "the squashing function f",
       .source = "arXiv 2306.16993"},
      {.key = "coefficients",
       .kind = Kind::Choice,
       .fallback = "fixed",
       .choices = {"fixed", "coarse", "fine"},
       .meaning = "a and b stay fixed, are learned once for the network (coarse), or for each "
                  "layer (fine)",
       .source = "arXiv 2306.16993"},
      {.key = "a",
       .kind = Kind::Real,
       .fallback = "1.0",
       .range = positive,
       .meaning = "scale of w; start value if learned (paper: 0.5 then)",
       .source = "arXiv 2306.16993, CIFAR-10 ResNet-18"},
      {.key = "b",
       .kind = Kind::Real,
       .fallback = "0.6",
       .range = positive,
       .meaning = "scale of v; start value if learned (paper: 1.0 then)",
       .source = "arXiv 2306.16993, CIFAR-10 ResNet-18"},
  };
  def.make = [](const Settings& s) { return std::make_unique<Compander>(s); };
  def.example = {.model = "resnet20"};  // without batch norm it needs a smaller learning rate
  return def;
}

}  // namespace winnow
