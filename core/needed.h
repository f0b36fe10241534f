// What a trial takes over from another one that is finished: a mask, start values, or a whole network to learn from.
// Plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"

namespace winnow {

struct NeededTensor {
  std::string name;
  Shape shape;
  std::vector<float> values;            // as the layers used them in the end
  std::vector<std::uint8_t> keep = {};  // 1: kept; empty: all are
};

struct Needed {
  std::string method;                           // whose setting names the trial: "born_again"
  std::string role;                             // that setting: "teacher"
  std::string trial;                            // "<id>-r<replicate>"
  std::string digest = {};                      // of its result's content
  std::vector<NeededTensor> tensors;            // parameters and buffers of its result
  std::optional<std::uint64_t> init_seed = {};  // of its initial values; nothing: they came from a file
  std::function<Model(std::int64_t batch, DType compute)> build = {};  // its model, without its method's edits
  double macs = 0;  // multiply-adds of one inference with what it kept
  // What `build` is to the network that the trial was evaluated with. Model: the same, once the weights are in it; further
  // tensors have only led to those. Extended: the same, if it has all tensors. Other: another one.
  enum class Network : std::uint8_t { Model, Extended, Other } network = Network::Model;
};

}  // namespace winnow
