// Network Slimming: an L1 penalty on the scales of batch norm while training, removal of the channels whose scales came
// out smallest, and fine-tuning of the network that is left, which is smaller in fact.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/channel_tools.h"
#include "experiments/methods/toolkit/fine_tune.h"

namespace winnow {
namespace {

class Slimming final : public Method {
 public:
  explicit Slimming(const Settings& settings)
      : share_{settings.real("prune"), scope_of(settings), settings.text("count") == "threshold"},
        l1_(settings.real("l1")),
        gamma_(settings.real("gamma")),
        fine_tune_(settings.length("fine_tune")) {}

  Touches touches() const override { return {.phases = true, .channels = true}; }

  void edit(GraphEditor& editor) override {
    scales_ = batch_norm_scales(editor.model());
    const ChannelGroups groups(editor.model());  // finds out when a trial is planned what cannot lose channels
    if (groups.groups().empty()) fail(ErrorKind::Settings, "{} has no channels to remove", editor.model().name);
    for (const ParamId id : scales_) editor.model().param(id).init = {InitSpec::Kind::Constant, gamma_};
  }

  void edit_update(UpdateGraph& update) override {
    if (update.phase() > 0 || l1_ == 0) return;
    for (const ParamId id : scales_) {
      update.before(id, [&](ValueId gradient, ValueId weight) {
        return update.graph().emit1("add_sign", {gradient, weight}, {{"strength", l1_}}, "slimming/l1");
      });
    }
  }

  std::optional<Phase> phase(int index, const RunLength& length) const override {
    if (index == 0) return Phase{.name = "sparsity", .last_step = length.steps};
    if (index > 1) return std::nullopt;
    return fine_tune_tail(fine_tune_, length);
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when == When::PhaseEnd && moment.phase == 0) prune(state);
    return Verdict::Update;
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    const ChannelGroups groups(edited);
    // Equal shares, of which it does not matter who they are; no two scores are equal.
    const auto scored = scored_groups(groups, edited.params, batch_norm_scales(edited), [](ParamId id, std::int64_t i) {
      return -static_cast<double>(i) - 1e-6 * static_cast<double>(id);
    });
    forecast.removals.push_back(
        {.step = length.steps, .groups = lowest_groups(scored, {share_.share, Scope::Layer, share_.threshold})});
    forecast.equal_shares = share_.scope == Scope::Global;
  }

  void save(StateWriter& out) const override {
    out.put_value("slimming/candidates", candidates_);
    out.put_value("slimming/removed", removed_);
  }
  void load(StateReader& in) override {
    candidates_ = in.get_value<std::int64_t>("slimming/candidates");
    removed_ = in.get_value<std::int64_t>("slimming/removed");
  }

  void report(TrainState&, Facts& facts) const override {
    facts["method.channels"] = static_cast<double>(candidates_ - removed_);
    facts["method.channels_before"] = static_cast<double>(candidates_);
  }

 private:
  void prune(TrainState& state) {
    const ChannelGroups groups = state.channel_groups();
    const ParamStore& params = state.params();
    const std::vector<ScoredGroup> scored =
        scored_groups(groups, params.specs(), scales_, [&params](ParamId id, std::int64_t i) {
          return std::abs(static_cast<double>(params.weight(id)[static_cast<std::size_t>(i)]));
        });
    const std::vector<std::int64_t> gone = lowest_groups(scored, share_);
    candidates_ = std::ssize(scored);
    removed_ = std::ssize(gone);
    remove_groups(state, groups, gone);
  }

  ChannelShare share_;
  double l1_, gamma_;
  Length fine_tune_;
  std::vector<ParamId> scales_;  // of the batch norms
  std::int64_t candidates_ = 0, removed_ = 0;
};

}  // namespace

MethodDef slimming() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "slimming";
  def.meaning =
      "trains with an L1 penalty on the scales of batch norm, removes the channels with the smallest scales, which "
      "makes the network smaller and faster, and fine-tunes what is left";
  def.source = "Liu et al. 2017 (arXiv 1708.06519), Eric-mingjie/network-slimming";
  def.schema = {
      {.key = "prune",
       .kind = Kind::Real,
       .fallback = "0.5",
       .range = Range{0, 1, false, true},
       .unit = "share",
       .meaning = "share of the channels behind a batch norm that is removed; channels that a residual sum or a "
                  "concatenation ties together count as one, by the largest of their scales",
       .source = "paper: 0.4 to 0.7"},
      {.key = "scope",
       .kind = Kind::Choice,
       .fallback = "global",
       .choices = {"global", "layer"},
       .meaning = "whether channels are compared over all layers or within each; one of every layer stays",
       .source = "global: paper; layer: ours, for comparisons"},
      {.key = "count",
       .kind = Kind::Choice,
       .fallback = "exact",
       .choices = {"exact", "threshold"},
       .meaning = "exact: N - floor(prune * N) of N channels stay; threshold: those above the scale at position "
                  "floor(prune * N), which is one less",
       .source = "exact: ours, one count rule for all methods; threshold: network-slimming"},
      {.key = "l1",
       .kind = Kind::Real,
       .fallback = "0.0001",
       .range = Range{0, 1},
       .meaning =
           "strength of the penalty: l1 times the sign of each scale is added to its gradient until channels are "
           "removed",
       .source = "network-slimming: 1e-4 for VGG, 1e-5 for ResNet and DenseNet"},
      {.key = "gamma",
       .kind = Kind::Real,
       .fallback = "0.5",
       .range = Range{0, 10, true},
       .meaning = "initial scale of every batch norm, in place of the model's bn_scale",
       .source = "network-slimming"},
      {.key = "fine_tune",
       .kind = Kind::Length,
       .fallback = "160ep",
       .range = Range{1, 1e12},
       .unit = "epochs or steps",
       .meaning = "length of fine-tuning, at most that of training; its schedule is that of the last steps",
       .source = "network-slimming: as long as training",
       .span = Span{.with_end = true}},
  };
  def.overrides = {{"model.bn_scale"}, {"method.gamma", {{unless("init.from", {""})}}}};
  def.make = [](const Settings& s) { return std::make_unique<Slimming>(s); };
  def.example = {.model = "resnet20", .settings = {{"scope", "layer"}, {"l1", "1e-3"}}};
  return def;
}

}  // namespace winnow
