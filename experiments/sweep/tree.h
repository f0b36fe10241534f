// A sweep file as a typed tree in which every node knows its place. YAML 1.2 core subset: no tags,
// no merge keys, one document; aliases are expanded within a limit; duplicate keys are errors;
// scalars stay text, so `no` and `on` are words and 0.1 keeps its digits. Nodes are immutable once
// parsed and may be shared.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiments/sweep/diagnostics.h"

namespace winnow {

struct YamlNode;
using NodePtr = std::shared_ptr<const YamlNode>;

struct Member {
  std::string key;
  Place place;
  NodePtr value;
};

struct YamlNode {
  enum class Kind { Null, Scalar, List, Map };
  Kind kind = Kind::Null;
  Place place;
  std::string text;             // of a scalar
  std::vector<NodePtr> items;   // of a list
  std::vector<Member> members;  // of a map, in the file's order
  std::size_t size = 1;         // nodes of the expanded tree below and with this one
  std::size_t depth = 1;        // of the expanded tree

  bool is_null() const { return kind == Kind::Null; }
  bool is_scalar() const { return kind == Kind::Scalar; }
  bool is_list() const { return kind == Kind::List; }
  bool is_map() const { return kind == Kind::Map; }
  const Member* find(const std::string& key) const;
};

const char* name_of(YamlNode::Kind);  // "nothing", "a value", "a list", "a map"

// Nothing if the text cannot be read; the reason is then in `problems`. An empty text gives a Null
// node. `source` was made by problems.add_file or add_argument.
NodePtr parse_tree(const std::string& text, int source, Diagnostics& problems);

}  // namespace winnow
