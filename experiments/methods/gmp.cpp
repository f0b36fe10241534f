#include "experiments/methods/gmp.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_tools.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {

GmpSchedule GmpSchedule::between(std::int64_t begin, std::int64_t end, std::int64_t interval) {
  const std::int64_t span = std::max<std::int64_t>(0, end - begin);
  if (span < interval) return {begin, span, 1};
  return {begin, interval, span / interval};
}

StepRule GmpSchedule::rule() const { return {begin, begin + updates * interval, std::max<std::int64_t>(1, interval)}; }

double GmpSchedule::progress(std::int64_t step) const {
  if (interval == 0) return 1;
  const double done = static_cast<double>(step - begin) / static_cast<double>(updates * interval);
  return std::clamp(done, 0.0, 1.0);
}

double gmp_sparsity(double progress, double initial, double final, double exponent) {
  return final + (initial - final) * std::pow(1 - progress, exponent);
}

namespace {

class Gmp final : public Method {
 public:
  explicit Gmp(const Settings& settings) : settings_(settings) {
    if (settings.real("begin") > settings.real("end")) {
      fail(ErrorKind::Settings, "method.begin: {} is after method.end {}", settings.text("begin"),
           settings.text("end"));
    }
  }

  Touches touches() const override { return {.masks = true}; }

  void schedule(EventPlan& plan, const RunLength& length) const override {
    plan.after_step.add(updates(length).rule());
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    const std::vector<PrunedTensor> tensors = pruned_tensors(edited.params);
    const DensityTarget last = density_target(settings_, tensors, scope_of(settings_));
    if (last.keeps_all(tensors)) return;
    const GmpSchedule at = updates(length);
    for (std::int64_t update = 0; update <= at.updates; ++update) {
      const std::int64_t step = at.begin + update * at.interval;
      forecast.changes.push_back({.step = step, .ones = expected_counts(target(last, at.progress(step)), tensors)});
    }
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    const bool at_start = moment.when == When::Begin && moment.step == 0 && moment.phase == 0;
    const GmpSchedule at = updates(state.length());
    if ((moment.when == When::AfterStep || at_start) && at.rule().contains(moment.step)) {
      prune(state, at.progress(moment.step));
    }
    return Verdict::Update;
  }

 private:
  GmpSchedule updates(const RunLength& length) const {
    const auto step_at = [&](const char* key) {
      return static_cast<std::int64_t>(settings_.real(key) * static_cast<double>(length.steps));
    };
    const std::int64_t interval = length.resolve(settings_.length("interval"));
    return GmpSchedule::between(step_at("begin"), step_at("end"), std::max<std::int64_t>(1, interval));
  }

  // What is kept at `progress` on the way to `last`.
  DensityTarget target(const DensityTarget& last, double progress) const {
    const double initial = sparsity_of(settings_.real("initial_density"));
    return last.mapped([&](double final) {
      return gmp_sparsity(progress, std::min(initial, final), final, settings_.real("exponent"));
    });
  }

  void prune(TrainState& state, double progress) const {
    const std::vector<PrunedTensor> tensors = pruned_tensors(state);
    const DensityTarget last = density_target(settings_, tensors, scope_of(settings_));
    if (last.keeps_all(tensors)) return;
    const DensityTarget now = target(last, progress);
    std::vector<Scores> scores = magnitudes(state, tensors);
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const auto mask = state.params().mask(tensors[t].id, MaskKind::Keep);
      for (std::size_t i = 0; i < mask.size(); ++i) {
        if (mask[i] == 0) scores[t][i] = -1;  // a pruned weight does not return before a live zero
      }
    }
    set_masks(state, tensors, select(now, tensors, scores), MaskKind::Keep);
  }

  Settings settings_;
};

}  // namespace

MethodDef gmp() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "gmp";
  def.meaning =
      "prunes the smallest weights step by step while training, until the density is reached; with "
      "begin equal to end it is one-shot: dense training, one pruning, fine-tuning in the steps "
      "left";
  def.source = "Zhu and Gupta 2017 (arXiv 1710.01878), Gale et al. 2019 (arXiv 1902.09574)";
  def.schema = joined({density_schema(),
                       {scope_setting("layer")},
                       distribution_schema("uniform", {{where("scope", {"layer"})}}),
                       {{.key = "initial_density",
                         .kind = Kind::Real,
                         .fallback = "1",
                         .range = Range{0, 1, true},
                         .unit = "share",
                         .meaning = "density of the first update; layers that end denser stay at their own",
                         .source = "1 in the paper"},
                        {.key = "exponent",
                         .kind = Kind::Real,
                         .fallback = "3",
                         .range = Range{0, 16, true},
                         .meaning = "exponent of the fall from initial_density to density",
                         .source = "paper"},
                        {.key = "begin",
                         .kind = Kind::Real,
                         .fallback = "0.2",
                         .range = Range{0, 1},
                         .unit = "share of training",
                         .meaning = "share of the steps before the first mask update",
                         .source = "Gale et al. 2019: 0.16 to 0.31 for ResNet-50"},
                        {.key = "end",
                         .kind = Kind::Real,
                         .fallback = "0.75",
                         .range = Range{0, 1},
                         .unit = "share of training",
                         .meaning = "share of the steps at which the density is reached, to the interval below",
                         .source = "Gale et al. 2019: 0.53 to 0.78 for ResNet-50"},
                        {.key = "interval",
                         .kind = Kind::Length,
                         .fallback = "100it",
                         .range = Range{1, 1e12},
                         .meaning = "steps between mask updates",
                         .source = "Zhu and Gupta 2017: 100 to 1000",
                         .span = Span{.from = "begin", .until = "end", .with_end = true}}}});
  def.make = [](const Settings& s) { return std::make_unique<Gmp>(s); };
  def.example = {.settings = {{"interval", "5it"}}};
  return def;
}

}  // namespace winnow
