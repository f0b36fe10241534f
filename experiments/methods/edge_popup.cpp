// edge-popup: weights stay at their random values and a score for each is trained; a layer uses the
// share of its weights with the largest |score|. The trained network is a seed and a bit mask.
#include <cmath>

#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/selection.h"
#include "kernels/top_k.h"

namespace winnow {
namespace {

class EdgePopup final : public Method {
 public:
  explicit EdgePopup(const Settings& settings)
      : density_(settings.real("density")),
        weights_(settings.text("weights")),
        scale_fan_(settings.flag("scale_fan")),
        affine_(settings.flag("affine")) {}

  Touches touches() const override { return {.weights_source = true, .masks = true}; }

  void edit(GraphEditor& editor) override {
    layers_.clear();
    for (const ParamId id : editor.prunable()) {
      ParamSpec& weight = editor.model().param(id);
      weight.init.kind = weights_ == "signed_constant" ? InitSpec::Kind::SignedKaiming : InitSpec::Kind::KaimingNormal;
      weight.init.value = scale_fan_ ? 1 / std::sqrt(density_) : 1;
      ParamSpec score{.name = weight.layer + ".score",
                      .shape = weight.shape,
                      .role = ParamRole::Score,
                      .init = {InitSpec::Kind::TorchDefault},
                      .layer = weight.layer,
                      .layer_shape = weight.layer_shape};
      set_fans(score.init, weight.layer_shape);
      const std::string layer = weight.layer;  // adding a parameter moves the specs
      const ParamId score_id = editor.build().param(std::move(score));
      editor.derive(id, [&](ValueId leaf) {
        return editor.graph().emit1("score_mask", {leaf, editor.model().param(score_id).value}, {{"density", density_}},
                                    layer + ".popup");
      });
      leave_at_start(editor, id);
      layers_.push_back({id, score_id, layer});
    }
    for (std::size_t i = 0; i < editor.model().params.size(); ++i) {
      ParamSpec& spec = editor.model().params[i];
      if (spec.retired) continue;
      const bool norm = spec.role == ParamRole::NormScale || spec.role == ParamRole::NormShift;
      if (spec.role != ParamRole::Bias && (affine_ || !norm)) continue;
      spec.init = {InitSpec::Kind::Constant, spec.role == ParamRole::NormScale ? 1.0 : 0.0};
      leave_at_start(editor, ParamId(i));
    }
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    MaskForecast::Change last{.step = length.steps, .ones = {}};
    for (const Popup& layer : layers_) {
      const std::int64_t numel = edited.param(layer.weight).shape.numel();
      last.ones.emplace_back(layer.weight, numel - dropped_of(numel, density_));
    }
    forecast.changes.push_back(std::move(last));
  }

  // What is stored: the weights' seed and this mask. The effective weights do not change.
  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when != When::PhaseEnd) return Verdict::Update;
    std::vector<std::uint32_t> scratch;
    for (const Popup& layer : layers_) {
      const auto score = state.params().weight(layer.score);
      Bits keep(score.size());
      scratch.resize(score.size());
      keep_largest(score, dropped_of(static_cast<std::int64_t>(score.size()), density_), keep.data(), scratch.data());
      state.params().replace_mask(layer.weight, MaskKind::Keep, keep);
      state.log("kept", layer.name, static_cast<double>(count_ones(keep)));
    }
    return Verdict::Update;
  }

 private:
  struct Popup {
    ParamId weight, score;
    std::string name;
  };
  static void leave_at_start(GraphEditor& editor, ParamId id) {
    editor.freeze(id);
    editor.store_seeded(id);
  }

  double density_;
  std::string weights_;
  bool scale_fan_, affine_;
  std::vector<Popup> layers_;
};

}  // namespace

MethodDef edge_popup() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "edge_popup";
  def.meaning = "finds a subnetwork of random weights by training a score for each weight";
  def.source = "Ramanujan et al. 2020, allenai/hidden-networks";
  def.schema = {
      {.key = "density",
       .kind = Kind::Real,
       .fallback = "0.5",
       .range = Range{0, 1, true},
       .unit = "share",
       .meaning = "share of each layer's weights that is used: N - int((1 - density) * N) of N",
       .source = "allenai/hidden-networks (there prune_rate, also the kept share)"},
      {.key = "weights",
       .kind = Kind::Choice,
       .fallback = "signed_constant",
       .choices = {"signed_constant", "kaiming_normal"},
       .meaning = "the random weights: +-sqrt(2 / fan_in), or normal with that deviation",
       .source = "Ramanujan et al. 2020"},
      {.key = "scale_fan",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "the fan counts only the weights that are used: deviation sqrt(2 / (density * fan_in))",
       .source = "Ramanujan et al. 2020, in the intended form"},
      {.key = "affine",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "train scale and shift of batch norm too; otherwise they stay at 1 and 0",
       .source = "allenai/hidden-networks"},
  };
  const ReadWhen from_file = {{unless("init.from", {""})}}, without_affine = {{where("method.affine", {"false"})}};
  def.overrides = {{"model.init"},
                   {"model.bn_scale", without_affine},
                   {"train.decay_norm", without_affine},  // of what is trained nothing is a normalisation or a bias
                   {"method.weights", from_file},
                   {"method.scale_fan", from_file}};
  def.make = [](const Settings& s) { return std::make_unique<EdgePopup>(s); };
  return def;
}

}  // namespace winnow
