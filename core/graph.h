// The static graph: values, and nodes that compute them. Methods edit it, differentiate() extends
// it by the reverse pass, Program compiles it. A Graph owns everything in it and is copied as a
// value; not synchronised.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/attrs.h"
#include "core/shape.h"
#include "kernels/portable.h"

namespace winnow {

enum class ValueId : std::uint32_t {};
inline constexpr ValueId kNoValue{0xffffffffu};  // an optional input or gradient that is absent
using NodeId = std::uint32_t;                    // position in Graph::nodes()

struct ValueInfo {
  Shape shape;
  DType dtype = DType::F32;
  std::string name = {};
  bool operator==(const ValueInfo&) const = default;
};

struct Node {
  std::string op;
  std::string name;  // "stage1.block0.conv1"; used in error messages, profiles and by methods
  std::vector<ValueId> in, out;
  Attrs attrs;
  bool operator==(const Node&) const = default;
};

class Graph {
 public:
  // A leaf: batch, parameter or buffer, whose memory is bound when a Program is made.
  ValueId input(std::string name, const Shape& shape, DType dtype = DType::F32);
  // Appends a node; its op's shape rule gives the outputs. A misfit throws Error{Internal} naming the node.
  std::vector<ValueId> emit(std::string_view op, std::vector<ValueId> in, Attrs attrs = {}, std::string name = {});
  // The same for the usual case in which only the first output is of interest.
  ValueId emit1(std::string_view op, std::vector<ValueId> in, Attrs attrs = {}, std::string name = {});

  // An f32 tensor of one value; and a value times a number.
  ValueId constant(double value, const Shape& shape, std::string name);
  ValueId scaled(ValueId value, double factor, const std::string& name);

  // Sets an attribute of a node by which it gives more than before. What it gave stays; the rest is new. Gives all of it.
  std::vector<ValueId> extend(NodeId id, std::string attr, Attr value);

  // Nodes with position < `before` that read `from` read `to` instead. Shapes and types must agree.
  void redirect(ValueId from, ValueId to, NodeId before);
  Node& node(NodeId id) { return nodes_[id]; }
  // Gives leaves other extents; those of all that `outputs` need follow, by the attributes as they are now. What does not
  // fit throws as emit() does, and the graph is of no use then.
  void resize(std::span<const std::pair<ValueId, Shape>> leaves, std::span<const ValueId> outputs);

  const std::vector<Node>& nodes() const { return nodes_; }
  NodeId node_count() const { return static_cast<NodeId>(nodes_.size()); }
  const ValueInfo& value(ValueId id) const { return values_.at(static_cast<std::size_t>(id)); }
  std::size_t value_count() const { return values_.size(); }
  // The node that computes `id`, or nullptr for a leaf.
  const Node* producer(ValueId id) const;
  std::vector<NodeId> readers(ValueId id) const;
  // Nodes needed for `outputs`, in an order in which every node comes after its producers; among
  // ready nodes the one emitted first runs first, so the order is the same on every rank.
  std::vector<NodeId> schedule(std::span<const ValueId> outputs) const;

  // Equal graphs give equal programs; of graphs that are equal but for real attributes, one program can take those of the
  // other (Program::set_reals).
  bool operator==(const Graph&) const = default;
  bool same_but_reals(const Graph& other) const;

 private:
  std::vector<ValueInfo> inferred(std::string_view op, std::string_view name, std::span<const ValueId> in,
                                  const Attrs& attrs) const;
  void add_outputs(NodeId id, std::vector<ValueInfo> outputs);
  std::vector<NodeId> sorted(const std::vector<char>& needed) const;
  std::vector<ValueInfo> values_;
  std::vector<std::int64_t> producer_;  // by value: node position, or -1
  std::vector<Node> nodes_;
};

}  // namespace winnow
