// One-shot pruning: train, prune the smallest weights of the trained network at once, fine-tune what is left.
#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/fine_tune.h"
#include "experiments/methods/toolkit/mask_tools.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

class OneShot final : public Method {
 public:
  explicit OneShot(const Settings& settings)
      : settings_(settings), compression_(settings.real("compression")), batches_(settings.integer("recalibrate")) {
    if (compression_ > 1 && settings_.has("density")) {
      fail(ErrorKind::Settings, "method.compression: says what method.density says; give one of them");
    }
  }

  Touches touches() const override { return {.masks = true, .phases = true}; }

  // Only to find out what there is to do, and that the network can be pruned as the settings say.
  void edit(GraphEditor& editor) override {
    const std::vector<PrunedTensor> tensors = pruned_tensors(editor.model().params);
    prunes_ = !target(editor.model().params, tensors).keeps_all(tensors);
    if (editor.model().buffers.empty()) batches_ = 0;  // no running statistics
  }

  // At full density nothing is left to do after training.
  std::optional<Phase> phase(int index, const RunLength& length) const override {
    if (index == 0) return Phase{.last_step = length.steps};
    if (!prunes_) return std::nullopt;
    if (index == kPrune) return Phase::work("prune", length.steps);
    if (index == kPrune + 1 && batches_ > 0) return Phase::work("recalibrate", length.steps);
    if (index == last_work() + 1) return fine_tune_phase(settings_, length.steps, length);
    return std::nullopt;
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when != When::Begin || !prunes_) return Verdict::Update;
    if (moment.phase == kPrune) {
      const std::vector<PrunedTensor> tensors = pruned_tensors(state);
      const DensityTarget wanted = target(state.params().specs(), tensors);
      set_masks(state, tensors, select(wanted, tensors, magnitudes(state, tensors)), MaskKind::Keep);
    } else if (moment.phase == last_work()) {
      state.recalibrate(batches_);
    }
    return Verdict::Update;
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    if (!prunes_) return;
    const std::vector<PrunedTensor> tensors = pruned_tensors(edited.params);
    forecast.changes.push_back(
        {.phase = kPrune, .step = length.steps, .ones = expected_counts(target(edited.params, tensors), tensors)});
    if (batches_ > 0) forecast.recalibrations.push_back({last_work(), batches_});
  }

 private:
  static constexpr int kPrune = 1;
  int last_work() const { return kPrune + (batches_ > 0 ? 1 : 0); }  // phase

  DensityTarget target(std::span<const ParamSpec> params, const std::vector<PrunedTensor>& tensors) const {
    Settings settings = settings_;
    if (compression_ > 1) settings.set("density", fmt::format("{}", compressed_density(params, tensors)));
    return density_target(settings, tensors, scope_of(settings));
  }

  // Of the tensors without a density of their own, such that all parameters over those that stay are the compression.
  double compressed_density(std::span<const ParamSpec> params, const std::vector<PrunedTensor>& tensors) const {
    std::int64_t total = 0, staying = 0;
    for (const ParamSpec& spec : params) total += spec.retired ? 0 : spec.shape.numel();
    staying = total;
    Settings dense = settings_;
    dense.set("density", "1");
    const DensityTarget given = density_target(dense, tensors, Scope::Global);
    const DensityTarget::Counts own = given.counts(tensors);
    std::int64_t pruned = 0;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      staying -= tensors[t].numel - own.own[t].value_or(0);
      if (!own.own[t]) pruned += tensors[t].numel;
    }
    const double density = kept_share(total, staying, pruned, compression_);
    if (density > 0 && density <= 1) return density;
    fail(ErrorKind::Settings,
         "method.compression: {} cannot be reached: of {} parameters {} are never pruned; reachable: below {:.6g}",
         compression_, total, staying, static_cast<double>(total) / static_cast<double>(staying));
  }

  Settings settings_;
  double compression_;
  std::int64_t batches_;
  bool prunes_ = true;
};

}  // namespace

MethodDef oneshot() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "oneshot";
  def.meaning =
      "trains the dense network, prunes its smallest weights at once and fine-tunes the rest at a rate of its own (see "
      "imp for rounds of it)";
  def.source = "Han et al. 2015; Blalock et al. 2020, code JJGO/shrinkbench";
  const Setting compression = {
      .key = "compression",
      .kind = Kind::Real,
      .fallback = "1",
      .range = Range{1, 1e9},
      .unit = "ratio",
      .meaning =
          "in place of density: all parameters over those that stay, biases and normalisation included, which "
          "always stay",
      .source = "ShrinkBench"};
  const Setting recalibrate = {
      .key = "recalibrate",
      .kind = Kind::Int,
      .fallback = "0",
      .range = Range{0, 1e6},
      .unit = "batches",
      .meaning =
          "training batches over which batch norm's running statistics are averaged anew after pruning; 0: they "
          "stay",
      .source = "ours: off, as in ShrinkBench"};
  Schema density = density_schema();
  density.front().read_when = {{where("compression", {"1"})}};
  def.schema = joined({{compression},
                       std::move(density),
                       {scope_setting("global")},
                       distribution_schema("uniform", {{where("scope", {"layer"})}}),
                       {recalibrate},
                       fine_tune_schema("30ep", "0.001", "ShrinkBench")});
  def.make = [](const Settings& s) { return std::make_unique<OneShot>(s); };
  def.example = {.model = "resnet20",
                 .settings = {{"recalibrate", "2"}, {"fine_tune.epochs", "5it"}, {"fine_tune.lr", "0.01"}}};
  return def;
}

}  // namespace winnow
