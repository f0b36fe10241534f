#include "core/graph_editor.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"

namespace winnow {
namespace {

// x -> fc1 -> relu1 (a "unit" region) -> fc2 -> relu2 (a region) -> fc3
class GraphEditing : public testing::Test {
 protected:
  GraphEditing() {
    ModelBuilder net(model_);
    // Activations are {N, F} here, so the network's input is a plain leaf.
    model_.input = model_.graph.input("images", {2, 4});
    hidden1_ = net.relu(net.linear(model_.input, "fc1", 4), "relu1");
    net.region("unit", "unit0", 0, 0, model_.input, hidden1_);
    hidden2_ = net.relu(net.linear(hidden1_, "fc2", 4), "relu2");
    net.region("unit", "unit1", 0, 1, hidden1_, hidden2_);
    net.output(net.linear(hidden2_, "fc3", 3));
  }
  const Node& layer_node(const std::string& name) const {
    const auto& nodes = model_.graph.nodes();
    return *std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) { return node.name == name; });
  }
  static ValueId twice(Graph& graph, ValueId x, const std::string& name) {
    return graph.emit1("add", {x, x}, {}, name);
  }

  Model model_{.name = "tiny"};
  ValueId hidden1_, hidden2_;
  Settings train_;
};

TEST_F(GraphEditing, DerivedWeightIsWhatTheLayerReads) {
  GraphEditor editor(model_, train_);
  const ValueId leaf = model_.params[0].value;
  editor.derive(ParamId(0), [&](ValueId w) { return twice(editor.graph(), w, "inner"); });
  editor.derive(ParamId(0), [&](ValueId w) { return twice(editor.graph(), w, "outer"); });
  // The second derivation lies between the leaf and the first.
  const ValueId effective = editor.layers()[0].weight;
  EXPECT_EQ(model_.graph.producer(effective)->name, "inner");
  EXPECT_EQ(model_.graph.producer(model_.graph.producer(effective)->in[0])->name, "outer");
  EXPECT_EQ(layer_node("outer").in[0], leaf);
  EXPECT_FALSE(editor.is_param(effective));
  EXPECT_TRUE(editor.is_param(leaf));
  EXPECT_EQ(editor.owner(leaf), ParamId(0));
  EXPECT_THROW(editor.owner(effective), Error);
}

TEST_F(GraphEditing, OnlyEvaluationIsObservedOneNumberAnExample) {
  const ValueId sum = model_.graph.emit1("reduce_sum", {model_.logits}, {}, "sum");
  const ValueId two = model_.graph.input("two", {2});
  GraphEditor trains(model_, train_), evaluates(model_, train_, Use::Evaluate);
  EXPECT_THROW(trains.observe({"two", two}), Error);
  EXPECT_THROW(evaluates.observe({"sum", sum}), Error) << "not one an example";
  evaluates.observe({"two", two});
  EXPECT_THROW(evaluates.observe({"two", two}), Error) << "there is one already";
  EXPECT_EQ(model_.observed.size(), 1u);
}

TEST_F(GraphEditing, ALayerThatOnlyALossReadsIsNotRetired) {
  GraphEditor editor(model_, train_);
  const ValueId aside = editor.build().linear(hidden1_, "aside", 2);
  editor.add_loss({.name = "aside", .value = model_.graph.emit1("reduce_sum", {aside}, {}, "sum")});
  editor.replace_region(model_.regions[1], [&](ValueId x) { return twice(editor.graph(), x, "body"); });
  for (const ParamSpec& spec : model_.params) {
    EXPECT_EQ(spec.retired, spec.name.starts_with("fc2")) << spec.name;
  }
}

TEST_F(GraphEditing, LinearNodesInsideADerivationAreNotLayers) {
  GraphEditor editor(model_, train_);
  const ValueId mix = model_.param(editor.build().param({.name = "mix", .shape = {4, 4}})).value;
  editor.derive(ParamId(0), [&](ValueId w) { return editor.graph().emit1("linear", {w, mix, kNoValue}, {}, "mixed"); });
  const auto layers = editor.layers();
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_EQ(layers[0].name, "fc1");
  EXPECT_EQ(layers[2].name, "fc3");
}

TEST_F(GraphEditing, SpliceMovesReadersAndTheStartOfTheNextRegion) {
  GraphEditor editor(model_, train_);
  editor.splice(hidden1_, [&](ValueId x) { return twice(editor.graph(), x, "block"); });
  const ValueId block = layer_node("block").out[0];
  EXPECT_EQ(layer_node("fc2").in[0], block);
  EXPECT_EQ(layer_node("block").in[0], hidden1_);
  EXPECT_EQ(model_.regions[0].out, hidden1_);
  EXPECT_EQ(model_.regions[1].in, block);
  editor.splice(model_.logits, [&](ValueId x) { return twice(editor.graph(), x, "head"); });
  EXPECT_EQ(model_.logits, layer_node("head").out[0]);
}

TEST_F(GraphEditing, ReplacingARegionRetiresWhatNothingReadsAnyMore) {
  GraphEditor editor(model_, train_);
  const ParamId unused_yet = editor.build().param({.name = "later", .shape = {1}});
  editor.replace_region(model_.regions[1], [&](ValueId in) { return twice(editor.graph(), in, "body"); });
  EXPECT_EQ(layer_node("fc3").in[0], layer_node("body").out[0]);
  EXPECT_TRUE(model_.params[2].retired && model_.params[3].retired) << "fc2 is gone";
  EXPECT_FALSE(model_.params[0].retired || model_.params[4].retired || model_.param(unused_yet).retired);
  EXPECT_EQ(model_.regions[1].out, layer_node("body").out[0]);
  EXPECT_EQ(editor.layers().size(), 2u);
}

TEST_F(GraphEditing, ABodyMayWrapTheRegionItReplaces) {
  GraphEditor editor(model_, train_);
  editor.replace_region(model_.regions[0], [&](ValueId in) {
    return editor.graph().emit1("add", {in, hidden1_}, {}, "wrapped");
  });
  EXPECT_EQ(layer_node("wrapped").in[1], hidden1_);
  EXPECT_EQ(layer_node("fc2").in[0], layer_node("wrapped").out[0]);
  EXPECT_EQ(model_.regions[1].in, layer_node("wrapped").out[0]);
  EXPECT_EQ(editor.prunable().size(), 3u);
}

TEST_F(GraphEditing, ADerivedWeightOfAnotherShapeIsRefused) {
  GraphEditor editor(model_, train_);
  const ValueId wrong = model_.param(editor.build().param({.name = "w", .shape = {5, 4}})).value;
  EXPECT_THROW(editor.derive(ParamId(0), [&](ValueId) { return wrong; }), Error);
}

}  // namespace
}  // namespace winnow
