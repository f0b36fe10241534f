// Entries of a network's values that live and die together: a partition, made by the channel rules of its ops. An entry
// is one index of one dimension of one value. For core/channel_groups.cpp; borrows the model. Not synchronised.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model.h"

namespace winnow {

class ChannelClasses {
 public:
  // Error{Settings} naming the first node whose op has no channel rule.
  explicit ChannelClasses(const Model& model);

  const Shape& shape(ValueId value) const { return model_.graph.value(value).shape; }
  bool used(ValueId value) const;                                      // do the outputs depend on it?
  std::size_t find(ValueId value, int dim, std::int64_t index) const;  // the class of an entry
  bool stays(std::size_t found) const { return stays_[found] != 0; }   // some entry of the class may not be removed
  const std::vector<ValueId>& outputs() const { return outputs_; }     // what the network is computed for
  const std::vector<NodeId>& order() const { return order_; }          // of the nodes behind them
  std::vector<const Node*> layers() const;                             // in that order; not those inside a derivation

 private:
  class Ties;
  std::size_t entry(ValueId value, int dim, std::int64_t index) const;
  std::size_t root(std::size_t entry) const;
  void add_entries(ValueId value);
  void join(std::size_t a, std::size_t b);
  void keep(ValueId value, int dim);

  const Model& model_;
  std::vector<ValueId> outputs_;
  std::vector<NodeId> order_;
  std::vector<std::int64_t> first_;  // entry of each value, or -1
  mutable std::vector<std::size_t> parent_;
  std::vector<char> stays_;  // by root
};

}  // namespace winnow
