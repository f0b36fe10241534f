#include <algorithm>

#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

class Snip final : public MaskAtInit {
 public:
  explicit Snip(const Settings& settings) : MaskAtInit(settings) {}

 protected:
  std::vector<Scores> score(TrainState& state, const std::vector<PrunedTensor>& tensors) override {
    return loss_saliencies(state, tensors);
  }

  std::vector<PrunedTensor> candidates(std::span<const ParamSpec> specs) const override {
    std::vector<PrunedTensor> tensors = pruned_tensors(specs);
    if (!settings().flag("biases")) return tensors;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const ParamSpec& spec = specs[i];
      if (spec.role != ParamRole::Bias || spec.retired || !spec.trainable) continue;
      tensors.push_back({.id = ParamId(i),
                         .name = spec.name,
                         .layer = spec.name,
                         .shape = spec.shape,
                         .numel = spec.shape.numel(),
                         .weight = false});
    }
    return tensors;
  }
};

}  // namespace

MethodDef snip() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "snip";
  def.version = 2;  // 2: scores are f32 whatever training computes in
  def.meaning = "keeps the weights with the largest |w * dL/dw| of the initial network, over all layers";
  def.source = "Lee, Ajanthan and Torr 2019 (arXiv 1810.02340), code namhoonlee/snip-public";
  def.schema = joined({density_schema(),
                       scoring_schema("running", "running: official code"),
                       {{.key = "biases",
                         .kind = Kind::Bool,
                         .fallback = "false",
                         .meaning = "masks biases too; they start at 0, score 0 and so go first",
                         .source = "true in the official code; ours: false, as in later work"},
                        reinit_setting()},
                       ablation_schema()});
  def.make = [](const Settings& s) { return std::make_unique<Snip>(s); };
  return def;
}

}  // namespace winnow
