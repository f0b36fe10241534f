// The channel rule of every op that has one, on the op's own examples: with the entries of a class at zero the op gives
// zeros there, and on what is left, with its attributes resized, it gives what is left.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/op.h"
#include "core/program.h"
#include "core/tensor.h"
#include "kernels/rng.h"

namespace winnow {
namespace {

struct Entry {
  ValueId value;
  int dim;
  std::int64_t index;
  auto operator<=>(const Entry&) const = default;
};

// The partition that one node's rule makes, kept as plainly as possible.
class Partition final : public ChannelTies, public KeptEntries {
 public:
  Partition(const Graph& graph, const Node& node) : graph_(graph), node_(node) { find_op(node.op).channels.tie(*this); }
  const Node& node() const override { return node_; }
  const Shape& shape(ValueId value) const override { return graph_.value(value).shape; }
  void tie(ValueId a, int dim_a, std::int64_t index_a, ValueId b, int dim_b, std::int64_t index_b) override {
    const int one = class_of({a, positive(a, dim_a), index_a}), other = class_of({b, positive(b, dim_b), index_b});
    for (auto& [entry, name] : classes_) name = name == other ? one : name;
  }
  void keep(ValueId value, int dim) override {
    for (std::int64_t i = 0; i < shape(value)[dim]; ++i) stay_.insert({value, positive(value, dim), i});
  }
  std::vector<std::int64_t> kept(ValueId value, int dim) const override {
    std::vector<std::int64_t> left;
    for (std::int64_t i = 0; i < shape(value)[dim]; ++i) {
      if (!gone.contains({value, positive(value, dim), i})) left.push_back(i);
    }
    return left;
  }

  // Classes of which every entry may go, and something stays of every dimension.
  std::vector<std::set<Entry>> removable() const {
    std::map<int, std::set<Entry>> by_name;
    for (const auto& [entry, name] : classes_) by_name[name].insert(entry);
    std::vector<std::set<Entry>> found;
    for (const auto& [name, entries] : by_name) {
      std::map<std::pair<ValueId, int>, std::int64_t> taken;
      bool stays = false;
      for (const Entry& entry : entries) {
        stays = stays || stay_.contains(entry);
        stays = stays || ++taken[{entry.value, entry.dim}] == shape(entry.value)[entry.dim];
      }
      if (!stays) found.push_back(entries);
    }
    return found;
  }
  std::set<Entry> gone;

 private:
  int positive(ValueId value, int dim) const { return dim < 0 ? dim + shape(value).rank() : dim; }
  int class_of(const Entry& entry) {
    EXPECT_LT(entry.index, shape(entry.value)[entry.dim]);
    return classes_.emplace(entry, static_cast<int>(classes_.size())).first->second;
  }
  const Graph& graph_;
  const Node& node_;
  std::map<Entry, int> classes_;
  std::set<Entry> stay_;
};

// Places in a tensor of the entries that are left of all its dimensions.
std::vector<std::size_t> places(const Partition& partition, ValueId value) {
  const Shape& shape = partition.shape(value);
  std::vector<std::size_t> found{0};
  for (int dim = 0; dim < shape.rank(); ++dim) {
    std::vector<std::size_t> finer;
    for (const std::size_t place : found) {
      for (const std::int64_t i : partition.kept(value, dim)) {
        finer.push_back(place * static_cast<std::size_t>(shape[dim]) + static_cast<std::size_t>(i));
      }
    }
    found = finer;
  }
  return found;
}

struct Run {
  Graph graph;
  std::vector<ValueId> in, out;
  std::vector<Tensor> values;

  Run(const std::string& op, const std::vector<Shape>& shapes, const Attrs& attrs) {
    for (const Shape& shape : shapes) {
      in.push_back(graph.input("in" + std::to_string(in.size()), shape));
      values.emplace_back(DType::F32, shape);
    }
    out = graph.emit(op, in, attrs, "node");
  }
  std::vector<float> output() {
    std::vector<Binding> bindings;
    for (std::size_t i = 0; i < in.size(); ++i) bindings.push_back({in[i], values[i].view().data});
    Program program(graph, std::vector{out[0]}, bindings, 1);
    program.run();
    const auto result = program.view(out[0]).span<float>();
    return {result.begin(), result.end()};
  }
};

// How many classes it was checked on: none where the only channel of an example may not go.
std::size_t check(const std::string& op, const OpExample& example) {
  std::vector<Shape> shapes;
  for (const ValueInfo& info : example.in) shapes.push_back(info.shape);
  Run whole(op, shapes, example.attrs);
  if (whole.graph.value(whole.out[0]).dtype != DType::F32) return 0;
  const Node node = whole.graph.nodes().front();
  const auto classes = Partition(whole.graph, node).removable();
  if (classes.empty()) return 0;
  const std::set<std::size_t> tried = {0, classes.size() / 2, classes.size() - 1};
  for (const std::size_t at : tried) {
    Partition partition(whole.graph, node);
    partition.gone = classes.at(at);
    for (std::size_t i = 0; i < whole.in.size(); ++i) {
      const auto values = whole.values[i].span<float>();
      const auto low = static_cast<float>(example.low), high = static_cast<float>(example.high);
      std::vector<char> stays(values.size(), 0);
      for (const std::size_t place : places(partition, whole.in[i])) stays[place] = 1;
      for (std::size_t k = 0; k < values.size(); ++k) {
        const float drawn = low + (high - low) * uniform_at({3, static_cast<std::uint32_t>(i), 0}, k);
        values[k] = stays[k] != 0 ? drawn : 0;
      }
    }
    const std::vector<float> all = whole.output();
    std::vector<Shape> left_shapes;
    for (const ValueId value : whole.in) {
      std::vector<std::int64_t> extents;
      for (int dim = 0; dim < partition.shape(value).rank(); ++dim) {
        extents.push_back(std::ssize(partition.kept(value, dim)));
      }
      left_shapes.emplace_back(extents);
    }
    Attrs attrs = example.attrs;
    if (find_op(op).channels.resize) find_op(op).channels.resize(partition, node, attrs);
    Run left(op, left_shapes, attrs);
    for (std::size_t i = 0; i < left.in.size(); ++i) {
      const std::vector<std::size_t> from = places(partition, whole.in[i]);
      for (std::size_t k = 0; k < from.size(); ++k)
        left.values[i].as<float>()[k] = whole.values[i].as<float>()[from[k]];
    }
    const std::vector<float> smaller = left.output();
    const std::vector<std::size_t> from = places(partition, whole.out[0]);
    EXPECT_EQ(smaller.size(), from.size());
    if (smaller.size() != from.size()) return 0;
    std::vector<char> seen(all.size(), 0);
    for (std::size_t k = 0; k < from.size(); ++k) {
      EXPECT_NEAR(smaller[k], all[from[k]], 1e-5 * std::max(1.0f, std::abs(all[from[k]]))) << k;
      seen[from[k]] = 1;
    }
    for (std::size_t k = 0; k < all.size(); ++k) EXPECT_TRUE(seen[k] != 0 || all[k] == 0) << k;
  }
  return tried.size();
}

TEST(ChannelRules, OfEveryOpHoldOnItsExamples) {
  const std::set<std::string> all_stay = {"layer_norm", "softmax_cross_entropy", "soft_cross_entropy",
                                          "shuffle_others"};
  std::size_t checked = 0;
  for (const std::string& name : op_names()) {
    const OpDef& op = find_op(name);
    // What is drawn entry by entry is drawn anew for other entries.
    if (!op.channels.tie || op.train_only) continue;
    std::size_t of_op = 0;
    for (const OpExample& example : op.examples) {
      const bool floats = std::ranges::all_of(example.in, [](const ValueInfo& i) { return i.dtype == DType::F32; });
      if (!floats) continue;
      SCOPED_TRACE(name + ", " + example.label);
      of_op += check(name, example);
    }
    EXPECT_EQ(of_op > 0, !all_stay.contains(name)) << name;
    checked += of_op;
  }
  EXPECT_GT(checked, 80u);
}

}  // namespace
}  // namespace winnow
