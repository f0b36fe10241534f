// What the layers of a network read, and of what parameters that is made. Borrows the model and changes nothing in it.
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace winnow {

// A node of an op with the role Layer, and the value it reads as its weight.
struct Layer {
  NodeId node;
  std::string name;  // "conv1"
  bool convolution;
  ValueId in, out;  // activations
  ValueId weight;   // effective weight: a leaf, or the end of a derivation
};

// By value: is it computed from the images (and so no parameter, no buffer and no derivation of them)?
std::vector<char> activations(const Model& model);

class NetworkView {
 public:
  explicit NetworkView(const Model& model) : network_(model) {}

  std::vector<Layer> layers() const;      // in graph order
  std::vector<ParamId> prunable() const;  // in graph order, retired ones left out
  ParamId owner(ValueId leaf) const;      // the parameter whose leaf this is; Error{Internal} otherwise
  bool is_param(ValueId value) const;
  std::vector<ParamId> leaves(ValueId value) const;  // the parameters that it is, or is derived from, in their order

 private:
  const Model& network_;
};

}  // namespace winnow
