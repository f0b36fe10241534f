#include <algorithm>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "experiments/methods/toolkit/redraw.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

class FreezeNet final : public MaskAtInit {
 public:
  explicit FreezeNet(const Settings& settings) : MaskAtInit(settings), variant_(settings.text("variant")) {}

  void edit(GraphEditor& editor) override {
    MaskAtInit::edit(editor);
    decaying_.clear();
    if (variant_ == "freeze_wd") decay_frozen(editor);
    const std::string& init = settings().text("init");
    if (init == "model") return;
    for (const ParamId id : editor.prunable()) {
      ParamSpec& spec = editor.model().param(id);
      if (spec.role != ParamRole::Weight) continue;  // coefficients keep the init of their method
      spec.init = InitSpec{init_kind(init == "pm_sigma" ? "signed_xavier" : init)};
      set_fans(spec.init, spec.layer_shape.rank() > 0 ? spec.layer_shape : spec.shape);
    }
  }

  // The step takes a frozen entry for one that is trained on a gradient of zero, so that decay is all that moves it.
  void edit_update(UpdateGraph& update) override {
    for (ParamUpdate& param : update.updates()) {
      if (std::ranges::find(decaying_, param.id) == decaying_.end()) continue;
      update.before(param.id, [&](ValueId gradient, ValueId) {
        return update.graph().emit1("apply_mask", {gradient, param.train}, {}, param.name + ".live");
      });
      param.moves = kNoValue;
    }
  }

  void schedule(EventPlan& plan, const RunLength& length) const override {
    if (variant_ == "freeze_wd") plan.after_step.at(length.steps);
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    MaskAtInit::forecast(forecast, edited, length);
    if (variant_ != "freeze_wd" || forecast.changes.empty()) return;
    // As later() does.
    MaskForecast::Change removed{.step = length.steps, .ones = forecast.changes.back().ones};
    MaskForecast::Change freed{.step = length.steps, .kind = MaskKind::Trainable, .ones = {}};
    for (const PrunedTensor& tensor : pruned_tensors(edited.params)) freed.ones.emplace_back(tensor.id, tensor.numel);
    forecast.changes.push_back(std::move(removed));
    forecast.changes.push_back(std::move(freed));
  }

  void report(TrainState& state, Facts& facts) const override {
    std::int64_t all = 0, trained = 0;
    const ParamStore& params = state.params();
    for (std::size_t i = 0; i < params.size(); ++i) {
      if (params.specs()[i].retired) continue;
      all += params.specs()[i].shape.numel();
      trained += params.live(ParamId(i));
    }
    facts["method.params_over_trained"] = static_cast<double>(all) / static_cast<double>(trained);
  }

 protected:
  std::vector<Scores> score(TrainState& state, const std::vector<PrunedTensor>& tensors) override {
    return loss_saliencies(state, tensors);
  }

  MaskKind kind() const override { return variant_ == "snip" ? MaskKind::Keep : MaskKind::Trainable; }

  // A tensor is redrawn as a whole, so that its frozen entries stay those of one seed; entries that
  // are to stay are put back.
  void reinitialise(TrainState& state, const std::vector<PrunedTensor>& tensors,
                    const std::vector<Bits>& masks) override {
    const std::string& part = settings().text("reinit");
    if (part == "none") return;
    ParamStore& params = state.params();
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const ParamId id = tensors[t].id;
      const auto copy_of_weight = [&params, id] {
        const auto weight = params.weight(id);
        return std::vector<float>(weight.begin(), weight.end());
      };
      std::vector<float> trained = copy_of_weight();
      const std::uint64_t old_seed = params.seeded(id).key.seed;
      params.redraw(id, redraw_seed(state));
      if (part == "both") continue;
      if (part == "trained") {
        trained = copy_of_weight();
        params.redraw(id, old_seed);  // what is frozen must be what the seed on record gives
      }
      const auto weight = params.change(id);
      for (std::size_t i = 0; i < trained.size(); ++i) {
        if (masks[t][i] != 0) weight[i] = trained[i];
      }
    }
  }

  // freeze_wd: what decay has made small is removed, which leaves a pruned network. After the last
  // step, so that the last evaluation is that network's.
  void later(const Moment& moment, TrainState& state) override {
    const bool last = moment.when == When::AfterStep && moment.step == state.length().steps;
    if (!last || variant_ != "freeze_wd") return;
    for (const PrunedTensor& tensor : pruned_tensors(state)) {
      const Bits trained = mask_bits(state.params(), tensor, MaskKind::Trainable);
      if (count_ones(trained) == tensor.numel) continue;
      state.params().replace_mask(tensor.id, MaskKind::Keep, trained);
      state.params().replace_mask(tensor.id, MaskKind::Trainable, {});
    }
  }

 private:
  void decay_frozen(GraphEditor& editor) {
    for (const ParamId id : editor.prunable()) {
      ParamSpec& spec = editor.model().param(id);
      if (spec.decay == 0) {
        fail(ErrorKind::Settings,
             "method.variant: freeze_wd decays frozen weights, but another method has taken the decay of '{}' out of "
             "the "
             "optimiser's hands (compander with fixed coefficients adds it to gradients, which frozen weights do not "
             "take)",
             spec.name);
      }
      decaying_.push_back(id);
    }
  }

  std::string variant_;
  std::vector<ParamId> decaying_;  // frozen entries of these decay
};

Schema own_schema() {
  using Kind = Setting::Kind;
  return {
      {.key = "variant",
       .kind = Kind::Choice,
       .fallback = "freeze",
       .choices = {"freeze", "freeze_wd", "snip"},
       .meaning = "weights that are not chosen: stay at their initial value; the same, but weight decay "
                  "moves them and they are removed after training; are removed at the start",
       .source = "paper (freeze, freeze_wd); snip is the pruned counterpart with the same mask"},
      {.key = "init",
       .kind = Kind::Choice,
       .fallback = "xavier_normal",
       .choices = {"xavier_normal", "kaiming_uniform", "pm_sigma", "model"},
       .meaning = "initial weights; pm_sigma: +-sqrt(2 / (fan_in + fan_out)), one random bit a weight; "
                  "model: as the model says",
       .source = "paper"},
      {.key = "reinit",
       .kind = Kind::Choice,
       .fallback = "none",
       .choices = {"none", "frozen", "trained", "both"},
       .meaning = "control: draw new values after scoring for the weights that are frozen, for those "
                  "that are trained, or for both",
       .source = "paper"},
  };
}

}  // namespace

MethodDef freezenet() {
  MethodDef def;
  def.name = "freezenet";
  def.version = 2;  // 2: scores are f32 whatever training computes in
  def.meaning =
      "trains only the weights with the largest |w * dL/dw| and keeps the others at their initial "
      "values, which a seed regenerates; shuffle: layer is the paper's random-mask control";
  def.source = "Wimmer, Mehnert and Condurache, ACCV 2020 (arXiv 2011.14087)";
  def.schema =
      joined({density_schema(), own_schema(),
              scoring_schema("batch", "ours: the forward pass of the first training step"), ablation_schema()});
  def.schema.front().meaning =
      "share of the prunable weights that is trained: N - floor((1 - density) * N) of N; the "
      "paper's freezing rate is 1 - density";
  def.overrides = {{"method.init", {{unless("init.from", {""}), where("method.reinit", {"none"})}}}};
  def.make = [](const Settings& s) { return std::make_unique<FreezeNet>(s); };
  def.example = {.settings = {{"init", "model"}}};
  return def;
}

}  // namespace winnow
