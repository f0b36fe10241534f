// Dimensions of the trained set over a run, against the survey's oracle.
#include <gtest/gtest.h>

#include "experiments/models/registry.h"
#include "experiments/run/trial_recorder.h"
#include "tests/methods/fake_state.h"

namespace winnow {
namespace {

// Keeps `count` entries of the last layer from `first` on, and nothing else.
void keep_only(FakeState& state, std::size_t first, std::size_t count) {
  const std::vector<ParamId> prunable = state.prunable();
  for (const ParamId id : prunable) {
    std::vector<std::uint8_t> bits(state.params().weight(id).size(), 0);
    if (id == prunable.back()) std::fill_n(bits.begin() + static_cast<int>(first), count, 1);
    state.params().replace_mask(id, MaskKind::Keep, bits);
  }
}

TEST(Dimension, TwoDisjointMasksMatchSpecificationOracle) {
  const ModelDef& def = find_model("lenet300");
  const Model model = def.build(resolve(def.schema, Settings()), {28, 28, 1, 10}, 1, DType::F32);
  TrialSpec spec;
  spec.settings.set("save.metrics.every", "1");
  spec.settings.set("train.batch", "32");
  const RunTrialOptions options;
  TrialRecorder recorder(spec, model, model, options, nullptr);
  FakeState state(model);
  keep_only(state, 0, 4);
  recorder.phase_started(Phase{.last_step = 50}, state);
  keep_only(state, 6, 4);
  recorder.masks_changed(state);
  TrialResult result;
  recorder.finish(result, {50, 50});
  EXPECT_EQ(result.summary.at("dim.max"), 4);
  EXPECT_EQ(result.summary.at("dim.union"), 8);
}

}  // namespace
}  // namespace winnow
