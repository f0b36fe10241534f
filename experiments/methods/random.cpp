#include <cmath>

#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

class RandomPruning final : public MaskAtInit {
 public:
  explicit RandomPruning(const Settings& settings) : MaskAtInit(settings) {}

 protected:
  std::vector<Scores> score(TrainState& state, const std::vector<PrunedTensor>& tensors) override {
    return random_scores(state, tensors, "mask");
  }

  // A sparse layer has a smaller fan-in; `init: sparse` gives its weights the spread for that.
  void after_masks(TrainState& state, const std::vector<PrunedTensor>& tensors) override {
    if (settings().text("init") != "sparse") return;
    for (const PrunedTensor& tensor : tensors) {
      const auto kept = static_cast<double>(state.params().count(tensor.id, MaskKind::Keep));
      if (kept == 0) continue;
      const double factor = std::sqrt(static_cast<double>(tensor.numel) / kept);
      for (float& weight : state.params().change(tensor.id)) {
        weight = static_cast<float>(factor * static_cast<double>(weight));
      }
    }
  }
};

}  // namespace

MethodDef random_pruning() {
  MethodDef def;
  def.name = "random";
  def.meaning = "keeps random weights from the start: the baseline of pruning at initialisation";
  def.source = "Evci et al. 2020 (static); Liu et al. 2022";
  def.schema = joined({density_schema(),
                       distribution_schema("erk"),
                       {{.key = "init",
                         .kind = Setting::Kind::Choice,
                         .fallback = "model",
                         .choices = {"model", "sparse"},
                         .meaning = "initial weights: the model's, or those times sqrt(1/density) of "
                                    "their layer, as if the fan-in were that of the kept weights",
                         .source = "Evci et al. 2019"}}});
  def.make = [](const Settings& s) { return std::make_unique<RandomPruning>(s); };
  return def;
}

}  // namespace winnow
