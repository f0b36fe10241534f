// Counts and operations that are foretold for masks of any method, by numbers worked out by hand.
#include "experiments/accounting/foresee.h"

#include <gtest/gtest.h>

#include "experiments/models/registry.h"

namespace winnow {
namespace {

constexpr double kWeights = 266200, kFirst = 235200;

// A method of which only its forecast, its phases and its dense batches are known.
class Foretold final : public Method {
 public:
  MaskForecast masks;
  std::vector<Phase> runs;
  std::int64_t dense_every = 0;

  Touches touches() const override { return {.masks = true}; }
  void forecast(MaskForecast& forecast, const Model&, const RunLength&) const override { forecast = masks; }
  void schedule(EventPlan& plan, const RunLength&) const override {
    if (dense_every > 0) plan.dense_gradients.every(dense_every);
  }
  std::optional<Phase> phase(int index, const RunLength& length) const override {
    if (runs.empty()) return Method::phase(index, length);
    const auto at = static_cast<std::size_t>(index);
    return at < runs.size() ? std::optional(runs[at]) : std::nullopt;
  }
};

class ForeseenLeNet : public testing::Test {
 protected:
  Foreseen foreseen(bool start_file = false) const {
    return foresee({model_, model_, method_, {10, 5}, kBatch, start_file});
  }
  // Of one batch whose first layer keeps and trains so many of its weights.
  static double step(double kept, double trained) {
    const double rest = kWeights - kFirst;
    return kBatch * (2 * (kept + rest) + trained + rest);
  }

  static constexpr std::int64_t kBatch = 4;
  Model model_ = [] {
    const ModelDef& def = find_model("lenet300");
    return def.build(resolve(def.schema, Settings()), {28, 28, 1, 10}, 1, DType::F32);
  }();
  Foretold method_;
};

TEST_F(ForeseenLeNet, WithoutMasksEverythingIsKept) {
  const Foreseen found = foreseen();
  EXPECT_EQ(found.summary.at("params.kept"), 266610);
  EXPECT_EQ(found.summary.at("density"), 1);
  EXPECT_EQ(found.train_macs, 10 * kBatch * 3 * kWeights);
  EXPECT_FALSE(found.upper_bound);
}

TEST_F(ForeseenLeNet, AChangeHoldsFromItsUpdateOn) {
  method_.masks.changes = {{.step = 4, .ones = {{ParamId(0), 1000}}}, {.step = 10, .ones = {{ParamId(0), 200}}}};
  const Foreseen found = foreseen();
  EXPECT_EQ(found.train_macs, 4 * step(kFirst, kFirst) + 6 * step(1000, 1000));
  EXPECT_EQ(found.summary.at("params.kept"), 200 + 31000 + 410) << "the change after the last update";
  EXPECT_EQ(found.summary.at("macs.sparse"), 200 + 31000);
}

TEST_F(ForeseenLeNet, EveryPhaseTrainsWithTheMasksBeforeIt) {
  method_.runs = {{.first_step = 0, .last_step = 10}, {.first_step = 3, .last_step = 10}};
  method_.masks.changes = {{.phase = 0, .step = 10, .ones = {{ParamId(0), 500}}}};
  EXPECT_EQ(foreseen().train_macs, 10 * step(kFirst, kFirst) + 7 * step(500, 500));
}

TEST_F(ForeseenLeNet, BatchesWithDenseGradientsAreChargedForThem) {
  method_.masks.changes = {{.ones = {{ParamId(0), 1000}}}};
  method_.dense_every = 5;
  EXPECT_EQ(foreseen().train_macs, 8 * step(1000, 1000) + 2 * step(1000, kFirst));
  method_.masks.dense_batches_are_extra = true;
  EXPECT_EQ(foreseen().train_macs, 10 * step(1000, 1000) + 2 * step(1000, kFirst));
}

TEST_F(ForeseenLeNet, ScoringIsTraining) {
  method_.masks.scoring_batches = 2;
  method_.masks.scoring_images = 3;
  EXPECT_EQ(foreseen().train_macs, (10 * kBatch + 2 * kBatch + 3) * 3 * kWeights);
}

TEST_F(ForeseenLeNet, FrozenEntriesAreStoredUnlessASeedGivesThem) {
  method_.masks.changes = {{.kind = MaskKind::Trainable, .ones = {{ParamId(0), 1000}}}};
  EXPECT_EQ(foreseen().summary.at("params.kept"), 1000 + 31000 + 410);
  EXPECT_EQ(foreseen().summary.at("params.trained"), 1000 + 31000 + 410);
  EXPECT_EQ(foreseen().summary.at("density"), 1);
  EXPECT_EQ(foreseen(true).summary.at("params.kept"), 266610) << "values of a start file";
  method_.masks.rewritten = {{ParamId(0), 235200}};
  EXPECT_EQ(foreseen().summary.at("params.kept"), 266610);
}

TEST_F(ForeseenLeNet, ChannelsThatAreRemovedAreGoneFromTheirStepOn) {
  MaskForecast::Removal removal{.step = 4, .groups = {}};
  for (std::int64_t unit = 0; unit < 30; ++unit) removal.groups.push_back(10 * unit);  // of the 300 of fc1
  method_.masks.removals = {removal};
  const double left = 270 * 784 + 270 * 100 + 1000;
  const Foreseen found = foreseen();
  EXPECT_EQ(found.train_macs, kBatch * 3 * (4 * kWeights + 6 * left));
  EXPECT_EQ(found.summary.at("macs.sparse"), left);
  EXPECT_EQ(found.summary.at("params.kept"), left + 270 + 100 + 10);
  EXPECT_EQ(found.summary.at("stored.bits"), 32 * (left + 380));
  EXPECT_EQ(found.summary.at("density"), left / kWeights);
}

TEST_F(ForeseenLeNet, MasksOfWhatIsLeftKeepTheirDensity) {
  method_.masks.changes = {{.ones = {{ParamId(0), 23520}}}};
  method_.masks.removals = {{.step = 10, .groups = {0, 1, 2}}};
  EXPECT_EQ(foreseen().summary.at("params.kept"), 23520 * 297 / 300 + 297 * 100 + 1000 + 297 + 110);
}

TEST_F(ForeseenLeNet, ZerosThatNoMaskNamesMakeItABound) {
  method_.masks.upper_bound = true;
  EXPECT_TRUE(foreseen().upper_bound);
}

}  // namespace
}  // namespace winnow
