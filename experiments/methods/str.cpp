// Soft threshold reparameterisation: every layer's weight is sign(v) * max(|v| - f(s), 0) of a trained v, with a trained
// number s. Zeros come of the threshold and no mask names them; how many follows from the decay that moves s.
#include <algorithm>
#include <cmath>

#include "experiments/methods/registry.h"

namespace winnow {
namespace {

class SoftThresholds final : public Method {
 public:
  explicit SoftThresholds(const Settings& settings)
      : function_(settings.text("function")),
        start_(settings.real("start")),
        decay_(settings.real("decay")),
        rate_(settings.real("rate")) {}

  Touches touches() const override { return {.weights_source = true}; }

  void edit(GraphEditor& editor) override {
    thresholds_.clear();
    for (const ParamId id : editor.prunable()) {
      const std::string layer = editor.model().param(id).layer;
      const ParamId s = editor.build().param({.name = layer + ".threshold",
                                              .shape = {1},
                                              .role = ParamRole::Coefficient,
                                              .init = {InitSpec::Kind::Constant, start_},
                                              .decay = decay_,
                                              .lr = rate_,
                                              .layer = layer});
      const ValueId leaf = editor.model().param(s).value;
      editor.derive(id, [&](ValueId v) {
        const ValueId threshold = editor.graph().emit1(function_, {leaf}, {}, layer + ".threshold");
        return editor.graph().emit1("soft_threshold", {v, threshold}, {}, layer + ".thresholded");
      });
      thresholds_.push_back(s);
    }
  }

  void forecast(MaskForecast& forecast, const Model&, const RunLength&) const override { forecast.upper_bound = true; }

  void report(TrainState& state, Facts& facts) const override {
    double low = 0, high = 0;
    bool first = true;
    for (const ParamId id : thresholds_) {
      const auto s = state.params().weight(id);
      if (s.empty()) continue;  // of a layer that another method took out
      const auto value = static_cast<double>(s[0]);
      const double threshold = function_ == "exp" ? std::exp(value) : 1 / (1 + std::exp(-value));
      low = first ? threshold : std::min(low, threshold);
      high = first ? threshold : std::max(high, threshold);
      first = false;
    }
    facts["method.threshold_min"] = low;
    facts["method.threshold_max"] = high;
  }

 private:
  std::string function_;
  double start_, decay_, rate_;
  std::vector<ParamId> thresholds_;
};

}  // namespace

MethodDef str() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "str";
  def.meaning =
      "trains a threshold for each layer below which weights are zero; how many is an outcome of start and decay";
  def.source = "Kusupati et al. 2020, RAIVNLab/STR";
  def.schema = {
      {.key = "function",
       .kind = Kind::Choice,
       .fallback = "sigmoid",
       .choices = {"sigmoid", "exp"},
       .meaning = "the threshold as a function of the trained number s",
       .source = "Kusupati et al. 2020: sigmoid for single weights, exp for low rank"},
      {.key = "start",
       .kind = Kind::Real,
       .fallback = "-3200",
       .range = Range{-1e5, 10},
       .meaning = "s of every layer at the start; below -88 the threshold is exactly 0 and has no gradient, so that "
                  "nothing is zero until weight decay has moved s there",
       .source = "RAIVNLab/STR, ResNet-50"},
      {.key = "decay",
       .kind = Kind::Real,
       .fallback = "1",
       .range = Range{0, 1e6},
       .meaning = "weight decay of s, as a multiple of train.weight_decay",
       .source = "RAIVNLab/STR (st_decay; the same as that of weights)"},
      {.key = "rate",
       .kind = Kind::Real,
       .fallback = "1",
       .range = Range{0, 1e6},
       .meaning = "learning rate of s, as a multiple of train.lr",
       .source = "RAIVNLab/STR"},
  };
  def.make = [](const Settings& s) { return std::make_unique<SoftThresholds>(s); };
  def.example = {.settings = {{"start", "-4"}}};
  return def;
}

}  // namespace winnow
