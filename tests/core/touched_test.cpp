// What an edit did is seen in the graph, whatever the method says.
#include "core/touched.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "core/error.h"

namespace winnow {
namespace {

// x -> fc1 -> relu1 (a region) -> fc2
Model tiny() {
  Model model{.name = "tiny"};
  ModelBuilder net(model);
  model.input = model.graph.input("images", {2, 4});
  const ValueId hidden = net.relu(net.linear(model.input, "fc1", 4), "relu1");
  net.region("unit", "unit0", 0, 0, model.input, hidden);
  net.output(net.linear(hidden, "fc2", 3));
  return model;
}

template <class Edit>
Touches after(const Edit& edit) {
  const Model before = tiny();
  Model model = before;
  const Settings train;
  GraphEditor editor(model, train);
  edit(editor);
  return touched(before, model);
}

void expect_touches(const Touches& done, bool structure, bool weights_source) {
  EXPECT_EQ(done.structure, structure);
  EXPECT_EQ(done.weights_source, weights_source);
  EXPECT_FALSE(done.masks || done.phases || done.evaluation);
}

TEST(Touched, ParametersThatChangeTheirStartOrRateTouchNothing) {
  expect_touches(after([](GraphEditor& editor) {
                   editor.freeze(ParamId(0));
                   editor.model().param(ParamId(2)).init = {InitSpec::Kind::Normal, 1};
                   editor.build().param({.name = "unread", .shape = {3}});
                 }),
                 false, false);
}

TEST(Touched, ADerivedWeightIsAnotherSourceAndNoStructure) {
  expect_touches(after([](GraphEditor& editor) {
                   editor.derive(ParamId(0), [&](ValueId w) { return editor.graph().emit1("add", {w, w}, {}, "w2"); });
                 }),
                 false, true);
}

TEST(Touched, ASplicedBlockIsStructure) {
  expect_touches(after([](GraphEditor& editor) {
                   editor.splice(editor.layers()[0].out, [&](ValueId x) { return editor.build().relu(x, "more"); });
                 }),
                 true, false);
}

TEST(Touched, ABlockBehindTheLastLayerIsStructure) {
  expect_touches(after([](GraphEditor& editor) {
                   editor.splice(editor.model().logits, [&](ValueId x) { return editor.build().relu(x, "last"); });
                 }),
                 true, false);
}

TEST(Touched, AReplacedRegionAndAnotherAttributeAreStructure) {
  expect_touches(after([](GraphEditor& editor) {
                   editor.replace_region(editor.model().regions[0],
                                         [&](ValueId x) { return editor.build().linear(x, "other", 4); });
                 }),
                 true, false);
  expect_touches(after([](GraphEditor& editor) { editor.graph().node(1).attrs.set("slope", 0.1); }), true, false);
}

class ByUse final : public Method {
 public:
  explicit ByUse(std::function<void(GraphEditor&)> edit) : edit_(std::move(edit)) {}
  Touches touches() const override { return {}; }
  void edit(GraphEditor& editor) override { edit_(editor); }

 private:
  std::function<void(GraphEditor&)> edit_;
};

TEST(Touched, AnotherNetworkForAnotherUseIsEvaluation) {
  const auto touched_with = [](std::function<void(GraphEditor&)> edit) {
    ByUse method(std::move(edit));
    return touched_by(method, tiny(), Settings());
  };
  for (const Use use : {Use::Evaluate, Use::Probe, Use::Export}) {
    const Touches done = touched_with([use](GraphEditor& editor) {
      if (editor.use() != use) return;
      editor.splice(editor.layers()[0].out, [&](ValueId x) { return editor.build().relu(x, "more"); });
    });
    EXPECT_TRUE(done.evaluation) << name_of(use);
    EXPECT_FALSE(done.structure || done.weights_source) << "training is as it was";
  }
  const Touches everywhere = touched_with([](GraphEditor& editor) {
    editor.splice(editor.layers()[0].out, [&](ValueId x) { return editor.build().relu(x, "more"); });
  });
  EXPECT_TRUE(everywhere.structure);
  EXPECT_FALSE(everywhere.evaluation);
}

TEST(Touched, ParametersOfOneUseAloneAreAnError) {
  ByUse method([](GraphEditor& editor) {
    if (editor.use() == Use::Evaluate) editor.build().param({.name = "extra", .shape = {3}});
  });
  EXPECT_THROW(touched_by(method, tiny(), Settings()), Error);
}

TEST(Touched, WhatIsNotSaidIsAnErrorThatNamesItAndTheMethod) {
  EXPECT_NO_THROW(check_touches({.structure = true, .masks = true}, {.structure = true}, "honest"));
  try {
    check_touches({.masks = true}, {.weights_source = true, .masks = true}, "sly");
    FAIL() << "a weight was replaced unsaid";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Internal);
    EXPECT_STREQ(error.what(),
                 "method 'sly' replaces what layers read as their weights, which its touches() does not say: "
                 "weights_source = true is missing");
  }
  EXPECT_THROW(check_touches({}, {.structure = true}, "sly"), Error);
  EXPECT_THROW(check_touches({}, {.masks = true}, "sly"), Error);
  EXPECT_THROW(check_touches({}, {.phases = true}, "sly"), Error);
  EXPECT_THROW(check_touches({}, {.evaluation = true}, "sly"), Error);
}

}  // namespace
}  // namespace winnow
