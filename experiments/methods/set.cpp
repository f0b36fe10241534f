#include <algorithm>

#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/drop_grow.h"
#include "experiments/methods/toolkit/dynamic_sparse.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

class Set final : public DynamicSparse {
 public:
  explicit Set(const Settings& settings)
      : DynamicSparse(settings),
        zeta_(settings.real("zeta")),
        cosine_(settings.text("drop_schedule") == "cosine"),
        compat_(settings.flag("compat")),
        interval_(settings.length("interval")) {}

  void schedule(EventPlan& plan, const RunLength& length) const override {
    if (interval_.epochs) return;  // the end of an epoch is always announced
    plan.after_step.add(updates(length));
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when == When::Begin && moment.phase == 0) start(state);
    const When when = interval_.epochs ? When::EpochEnd : When::AfterStep;
    if (moment.when != when || !active() || !updates(state.length()).contains(moment.step)) return Verdict::Update;
    const std::int64_t end = end_of(state.length());
    const double fraction = cosine_ ? cosine_fraction(zeta_, moment.step, end) : zeta_;
    update(
        state, [&](const PrunedTensor& tensor) { return random_scores(state, {tensor}, "grow").front(); },
        [&](const PrunedTensor& tensor, const Bits& mask) { return drop(state.params(), tensor, mask, fraction); });
    if (compat_) state.params().reset_slots();
    return Verdict::Update;
  }

 private:
  Bits drop(ParamStore& params, const PrunedTensor& tensor, const Bits& mask, double fraction) const {
    const Scores weights = compared_weights(params, tensor);
    if (!compat_) {
      return drop_smallest(weights, mask, share_of(count_ones(mask), fraction), tensor.name);
    }
    const Bits left = drop_by_sign(weights, mask, fraction, tensor.name);
    params.replace_mask(tensor.id, MaskKind::Keep, left);  // what is drawn again starts at 0
    return left;
  }
  std::int64_t end_of(const RunLength& length) const {
    return static_cast<std::int64_t>(settings().real("t_end") * static_cast<double>(length.steps));
  }
  // Not after the last step: weights that start at 0 would never be trained.
  StepRule updates(const RunLength& length) const {
    const std::int64_t interval = std::max<std::int64_t>(1, length.resolve(interval_));
    return {interval, std::min(end_of(length), length.steps - 1), interval};
  }

  double zeta_;
  bool cosine_, compat_;
  Length interval_;
};

}  // namespace

MethodDef set() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "set";
  def.meaning =
      "sparse from the start; at intervals drops the smallest weights of each layer and grows as "
      "many at random positions";
  def.source = "Mocanu et al. 2018 (arXiv 1707.04780)";
  def.schema = joined({density_schema(),
                       distribution_schema("er"),
                       {{.key = "zeta",
                         .kind = Kind::Real,
                         .fallback = "0.3",
                         .range = Range{0, 1},
                         .unit = "share",
                         .meaning = "share of a layer's weights that an update drops: ceil(zeta * kept), smallest "
                                    "|w| first",
                         .source = "paper; of all weights of the layer: ours, see compat"},
                        {.key = "interval",
                         .kind = Kind::Length,
                         .fallback = "1ep",
                         .range = Range{1, 1e12},
                         .meaning = "time between mask updates; they follow the evaluation of an epoch, or with it "
                                    "the weight update of a step",
                         .source = "1ep in the paper; 100it in google-research/rigl",
                         .span = Span{.until = "t_end"}},
                        {.key = "drop_schedule",
                         .kind = Kind::Choice,
                         .fallback = "constant",
                         .choices = {"constant", "cosine"},
                         .meaning = "how zeta falls until t_end",
                         .source = "constant in the paper; cosine in google-research/rigl"},
                        {.key = "compat",
                         .kind = Kind::Bool,
                         .fallback = "false",
                         .meaning = "updates as in the official code: zeta is taken of a layer's positive and of "
                                    "its negative weights apart, dropped weights that are drawn again start at 0, "
                                    "and all optimiser state is lost",
                         .source = "dcmocanu/sparse-evolutionary-artificial-neural-networks"},
                        {.key = "t_end",
                         .kind = Kind::Real,
                         .fallback = "1",
                         .range = Range{0, 1},
                         .unit = "share of training",
                         .meaning = "no mask update after this share of the steps, nor after the last step",
                         .source = "paper"}}});
  def.make = [](const Settings& s) { return std::make_unique<Set>(s); };
  def.example = {.settings = {{"interval", "5it"}}};
  return def;
}

}  // namespace winnow
