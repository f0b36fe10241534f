#include "core/graph.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace winnow {
namespace {

struct Chain {
  Graph graph;
  ValueId x = graph.input("x", {2, 3});
  ValueId a = graph.emit1("relu", {x}, {}, "a");
  ValueId b = graph.emit1("relu", {a}, {}, "b");
};

std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Graph, ScheduleRunsASplicedNodeBetweenItsNeighbours) {
  Chain c;
  const NodeId before = c.graph.node_count();
  const ValueId spliced = c.graph.emit1("dropout", {c.a}, {{"p", 0.5}}, "spliced");
  c.graph.redirect(c.a, spliced, before);
  EXPECT_EQ(c.graph.schedule(std::span(&c.b, 1)), (std::vector<NodeId>{0, 2, 1}));
  EXPECT_EQ(c.graph.nodes()[2].in, std::vector<ValueId>{c.a}) << "the new node must keep its own input";
}

TEST(Graph, RedirectLeavesNodesFromTheGivenPositionAlone) {
  Chain c;
  const ValueId other = c.graph.input("other", {2, 3});
  const ValueId late = c.graph.emit1("relu", {c.a}, {}, "late");
  c.graph.redirect(c.a, other, 2);
  EXPECT_EQ(c.graph.nodes()[1].in, std::vector<ValueId>{other});
  EXPECT_EQ(c.graph.producer(late)->in, std::vector<ValueId>{c.a});
}

TEST(Graph, RedirectRefusesAnotherShapeOrType) {
  Chain c;
  const ValueId wide = c.graph.input("wide", {2, 4});
  const ValueId narrow = c.graph.input("narrow", {2, 3}, DType::BF16);
  EXPECT_NE(message([&] { c.graph.redirect(c.a, wide, 2); }).find("'wide' (2x4 f32)"), std::string::npos);
  EXPECT_THROW(c.graph.redirect(c.a, narrow, 2), Error);
}

TEST(Graph, ScheduleTakesOnlyWhatTheOutputsNeed) {
  Chain c;
  c.graph.emit1("relu", {c.x}, {}, "unused");
  EXPECT_EQ(c.graph.schedule(std::span(&c.a, 1)), std::vector<NodeId>{0});
}

TEST(Graph, ScheduleFindsACycle) {
  Chain c;
  const ValueId back = c.graph.emit1("relu", {c.b}, {}, "back");
  c.graph.redirect(c.a, back, 2);
  EXPECT_THROW(c.graph.schedule(std::span(&back, 1)), Error);
}

TEST(Graph, ShapeErrorNamesNodeOpShapesAndReason) {
  Graph graph;
  const ValueId a = graph.input("a", {2, 3}), b = graph.input("b", {3, 2});
  const std::string text = message([&] { graph.emit1("add", {a, b}, {}, "block0.add"); });
  for (const char* part : {"block0.add", "add", "2x3 f32", "3x2 f32", "same shape"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text << " lacks " << part;
  }
  EXPECT_EQ(graph.node_count(), 0u) << "a refused node must not stay in the graph";
}

TEST(Graph, UnknownOpAndMissingAttributeAreNamed) {
  Graph graph;
  const ValueId x = graph.input("x", {2, 3});
  EXPECT_NE(message([&] { graph.emit1("no_such_op", {x}); }).find("'no_such_op'"), std::string::npos);
  const std::string text = message([&] { graph.emit1("dropout", {x}, {}, "drop"); });
  EXPECT_NE(text.find("'drop'"), std::string::npos) << text;
  EXPECT_NE(text.find("'p'"), std::string::npos) << text;
}

TEST(Graph, CopyIsIndependent) {
  Chain c;
  Graph copy = c.graph;
  copy.node(1).in[0] = c.x;
  copy.emit1("relu", {c.b});
  EXPECT_EQ(c.graph.node_count(), 2u);
  EXPECT_EQ(c.graph.nodes()[1].in[0], c.a);
}

TEST(Graph, ReadersListsEveryNodeOnce) {
  Chain c;
  c.graph.emit1("mul", {c.a, c.a}, {}, "square");
  EXPECT_EQ(c.graph.readers(c.a), (std::vector<NodeId>{1, 2}));
}

}  // namespace
}  // namespace winnow
