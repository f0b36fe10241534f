#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

class Magnitude final : public MaskAtInit {
 public:
  explicit Magnitude(const Settings& settings) : MaskAtInit(settings) {}

 protected:
  std::vector<Scores> score(TrainState& state, const std::vector<PrunedTensor>& tensors) override {
    return magnitudes(state, tensors);
  }
};

}  // namespace

MethodDef magnitude() {
  MethodDef def;
  def.name = "magnitude";
  def.meaning =
      "keeps the largest weights of the initial network (see gmp for pruning in training, at once "
      "or "
      "gradual, and imp for pruning after it)";
  def.source = "Synaptic-Flow and ShrinkBench code";
  def.schema = joined({density_schema(),
                       {scope_setting("global")},
                       distribution_schema("uniform", {{where("scope", {"layer"})}}),
                       ablation_schema(),
                       {reinit_setting()}});
  def.make = [](const Settings& s) { return std::make_unique<Magnitude>(s); };
  return def;
}

}  // namespace winnow
