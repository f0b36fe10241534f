// Groups of weights that are zero together or not at all: filters, channels, filter shapes, residual branches. Of prunable
// weights that layers read as they are; a derived one is an error, since zeros of its parameter need not be its own.
// Pure functions of a network, and of a store where values are read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/graph_editor.h"
#include "core/param_store.h"

namespace winnow {

// `groups` groups, each of which runs through all of `tensors`: entry i of tensor j belongs to group
// (i / inner[j]) mod groups, as in the op group_norms.
struct WeightGroups {
  std::vector<ParamId> tensors = {};
  std::vector<std::int64_t> inner = {};
  std::int64_t groups = 0;
  std::int64_t size = 0;  // entries of one group
};

// W[o]. Not of layers that no other follows: their outputs are the classes.
std::vector<WeightGroups> filter_groups(const GraphEditor& editor);
// W[:, i]. Not of layers that read the images, nor of convolutions whose channels are divided into groups.
std::vector<WeightGroups> channel_groups(const GraphEditor& editor);
// W[:, i, h, w] of convolutions whose channels are not divided into groups.
std::vector<WeightGroups> shape_groups(const GraphEditor& editor);
// All weights of the branch of each residual block, one group each.
std::vector<WeightGroups> branch_groups(const GraphEditor& editor);

// L2 norms by group, summed in double.
std::vector<double> norms_of(const ParamStore& params, const WeightGroups& groups);
// Sets the entries of the groups with 1 in `chosen` to zero, frozen ones (Trainable 0) excepted.
void zero_groups(ParamStore& params, const WeightGroups& groups, std::span<const char> chosen);

}  // namespace winnow
