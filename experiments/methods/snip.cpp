#include <algorithm>

#include "experiments/methods/definitions.h"
#include "experiments/methods/mask_at_init.h"
#include "experiments/methods/schema_tools.h"

namespace winnow {
namespace {

class Snip final : public MaskAtInit {
 public:
  explicit Snip(const Settings& settings) : MaskAtInit(settings) {}

 protected:
  std::vector<Scores> score(TrainState& state, const std::vector<PrunedTensor>& tensors) override {
    ProbeRequest request;
    request.batches = settings().integer("batches");
    request.norm =
        settings().text("norm") == "batch" ? NormStatistics::Batch : NormStatistics::Running;
    return saliencies(state, tensors, state.probe(request).grads);
  }

  std::vector<PrunedTensor> candidates(TrainState& state) override {
    std::vector<PrunedTensor> tensors = pruned_tensors(state);
    if (!settings().flag("biases")) return tensors;
    const auto specs = state.params().specs();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const ParamSpec& spec = specs[i];
      if (spec.role != ParamRole::Bias || spec.retired || !spec.trainable) continue;
      tensors.push_back({ParamId(i), spec.name, spec.name, spec.shape, spec.shape.numel()});
    }
    return tensors;
  }
};

}  // namespace

MethodDef snip() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "snip";
  def.meaning =
      "keeps the weights with the largest |w * dL/dw| of the initial network, over all layers";
  def.source = "Lee, Ajanthan and Torr 2019 (arXiv 1810.02340), code namhoonlee/snip-public";
  def.schema = joined(
      {density_schema(),
       {{.key = "batches",
         .kind = Kind::Int,
         .fallback = "1",
         .range = Range{1, 1e6},
         .unit = "batches",
         .meaning = "training batches that gradients are averaged over before the absolute value",
         .source = "1 in the paper"},
        {.key = "norm",
         .kind = Kind::Choice,
         .fallback = "running",
         .choices = {"running", "batch"},
         .meaning =
             "statistics of batch norm while scoring: running (mean 0, variance 1 at the start) "
             "or those of the batch",
         .source = "running: official code"},
        {.key = "biases",
         .kind = Kind::Bool,
         .fallback = "false",
         .meaning = "masks biases too; they start at 0, score 0 and so go first",
         .source = "true in the official code; ours: false, as in later work"},
        reinit_setting()},
       ablation_schema()});
  def.make = [](const Settings& s) { return std::make_unique<Snip>(s); };
  def.touches = {.masks = true};
  return def;
}

}  // namespace winnow
