#include <algorithm>

#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/drop_grow.h"
#include "experiments/methods/toolkit/dynamic_sparse.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

class Rigl final : public DynamicSparse {
 public:
  explicit Rigl(const Settings& settings)
      : DynamicSparse(settings), alpha_(settings.real("alpha")), cosine_(settings.text("drop_schedule") == "cosine") {}

  void schedule(EventPlan& plan, const RunLength& length) const override {
    plan.after_backward.add(updates(length));
    plan.dense_gradients.add(updates(length));
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    DynamicSparse::forecast(forecast, edited, length);
    forecast.dense_batches_are_extra = !forecast.changes.empty();
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when == When::Begin && moment.phase == 0) start(state);
    if (moment.when != When::AfterBackward || !due(moment.step, state.length())) {
      return Verdict::Update;
    }
    const std::int64_t begin = begin_of(state.length()), span = end_of(state.length()) - begin;
    const double fraction = cosine_ ? cosine_fraction(alpha_, moment.step, span) : alpha_;
    update(
        state, [&](const PrunedTensor& tensor) { return gradients(state, tensor); },
        [&](const PrunedTensor& tensor, const Bits& mask) {
          return drop_smallest(compared_weights(state.params(), tensor), mask, rigl_count(count_ones(mask), fraction),
                               tensor.name);
        });
    return Verdict::SkipUpdate;
  }

 private:
  std::int64_t begin_of(const RunLength& length) const { return length.resolve(settings().length("t_begin")); }
  std::int64_t end_of(const RunLength& length) const {
    return static_cast<std::int64_t>(settings().real("t_end") * static_cast<double>(length.steps));
  }
  StepRule updates(const RunLength& length) const {
    const std::int64_t interval = std::max<std::int64_t>(1, length.resolve(settings().length("delta_t")));
    return {begin_of(length), end_of(length), interval};
  }
  // The batch after a skipped update comes at the same step and trains.
  bool due(std::int64_t step, const RunLength& length) const {
    return active() && step != last_update() && updates(length).contains(step);
  }
  static Scores gradients(TrainState& state, const PrunedTensor& tensor) {
    Scores growth;
    growth.reserve(static_cast<std::size_t>(tensor.numel));
    for (const float grad : state.params().grad(tensor.id)) growth.push_back(std::fabs(grad));
    return growth;
  }

  double alpha_;
  bool cosine_;
};

}  // namespace

MethodDef rigl() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "rigl";
  def.meaning =
      "sparse from the start; at intervals drops the smallest weights and grows those with the "
      "largest gradient; such a batch updates the mask and not the weights";
  def.source = "Evci et al. 2020 (arXiv 1911.11134), code google-research/rigl";
  def.schema = joined({density_schema(),
                       distribution_schema("erk"),
                       {{.key = "alpha",
                         .kind = Kind::Real,
                         .fallback = "0.3",
                         .range = Range{0, 1},
                         .unit = "share",
                         .meaning = "share of a layer's weights that the first update drops",
                         .source = "paper"},
                        {.key = "delta_t",
                         .kind = Kind::Length,
                         .fallback = "100it",
                         .range = Range{1, 1e12},
                         .meaning = "steps between mask updates",
                         .source = "paper",
                         .span = Span{.from = "t_begin", .until = "t_end"}},
                        {.key = "t_begin",
                         .kind = Kind::Length,
                         .fallback = "0it",
                         .meaning = "step of the first mask update",
                         .source = "code",
                         .span = Span{.until = "t_end"}},
                        {.key = "t_end",
                         .kind = Kind::Real,
                         .fallback = "0.75",
                         .range = Range{0, 1},
                         .unit = "share of training",
                         .meaning = "no mask update after this share of the steps",
                         .source = "paper"},
                        {.key = "drop_schedule",
                         .kind = Kind::Choice,
                         .fallback = "cosine",
                         .choices = {"cosine", "constant"},
                         .meaning = "how alpha falls until t_end",
                         .source = "cosine in the paper; constant is the default of the code's scripts"}}});
  def.make = [](const Settings& s) { return std::make_unique<Rigl>(s); };
  def.example = {.settings = {{"delta_t", "5it"}}};
  return def;
}

}  // namespace winnow
