#include "core/node_work.h"

#include <algorithm>
#include <cstdint>
#include <set>

namespace winnow {
namespace {

// A value of the node and the launches that are given an address in it.
struct Named {
  ValueId value;
  TensorView view;
  bool is_out;
  bool in_place = false;                 // an output in the memory of an input
  std::set<std::uintptr_t> places = {};  // by which all launches together name it
};

bool holds(const TensorView& view, std::uintptr_t at) {
  const auto begin = reinterpret_cast<std::uintptr_t>(view.data);
  return at >= begin && at < begin + view.bytes();
}

std::vector<Named> values_of(const Node& node, std::span<const TensorView> in, std::span<const TensorView> out) {
  std::vector<Named> values;
  const auto add = [&](ValueId value, const TensorView& view, bool is_out) {
    const bool known =
        std::ranges::any_of(values, [&](const Named& one) { return one.value == value && one.is_out == is_out; });
    if (value == kNoValue || view.data == nullptr || known) return;
    const bool in_place = is_out && std::ranges::any_of(values, [&](const Named& one) {
                            return !one.is_out && one.view.data == view.data;
                          });
    values.push_back({value, view, is_out, in_place});
  };
  for (std::size_t i = 0; i < node.in.size(); ++i) add(node.in[i], in[i], false);
  for (std::size_t i = 0; i < node.out.size(); ++i) add(node.out[i], out[i], true);
  return values;
}

// How much of the value a launch is given, in parts of all of it: where the launches of a node are given several places,
// each takes the part behind its own.
double share_of(const Named& named, const dry::Launch& launch) {
  std::set<std::uintptr_t> places;
  std::size_t most = 0;
  for (const dry::Word& word : launch.words) {
    if (!holds(named.view, word.at)) continue;
    places.insert(word.at);
    most = std::max(most, word.most);
  }
  if (places.empty()) return 0;
  const double share = static_cast<double>(places.size()) / static_cast<double>(named.places.size());
  const double limit = static_cast<double>(most) / static_cast<double>(named.view.bytes());
  return std::min(share, limit);
}

}  // namespace

NodeWork node_work(const Node& node, std::span<const TensorView> in, std::span<const TensorView> out,
                   std::span<const dry::Launch> launches, bool launches_count) {
  NodeWork work{.op = node.op, .name = node.name};
  std::vector<Named> values = values_of(node, in, out);
  for (const dry::Launch& launch : launches) {
    if (launches_count) {
      ++(launch.is_call ? work.calls : work.launches);
      work.scratch_read += launch.scratch_read;
      work.scratch_written += launch.scratch_written;
    }
    for (Named& named : values) {
      for (const dry::Word& word : launch.words) {
        if (holds(named.view, word.at)) named.places.insert(word.at);
      }
    }
  }
  for (const Named& named : values) {
    std::vector<double> shares;
    for (const dry::Launch& launch : launches) {
      if (!named.is_out && holds(named.view, launch.overwritten)) continue;
      if (const double share = share_of(named, launch); share > 0) shares.push_back(share);
    }
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const bool parts = named.places.size() > 1;
      bool is_write = named.is_out && (parts || i == 0);
      if (named.in_place) {
        is_write = i + 1 == shares.size();
        if (!is_write) continue;  // counted for the input
      }
      work.passes.push_back({named.value, is_write, shares[i]});
    }
  }
  return work;
}

}  // namespace winnow
