#include "experiments/methods/toolkit/channel_tools.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "core/op.h"

namespace winnow {
namespace {

// Best first.
bool ranks_before(const ScoredGroup& a, const ScoredGroup& b) {
  return a.score != b.score ? a.score > b.score : a.group < b.group;
}

// How many of the ranked groups stay, the families' guard not counted.
std::size_t staying(const std::vector<ScoredGroup>& ranked, const ChannelShare& share) {
  const auto count = std::ssize(ranked);
  if (!share.threshold || share.share == 0 || count == 0) {
    return static_cast<std::size_t>(kept_count(count, share.share));
  }
  const auto place = static_cast<std::int64_t>(static_cast<double>(count) * share.share);
  const double threshold = ranked[static_cast<std::size_t>(count - 1 - std::min(place, count - 1))].score;
  return static_cast<std::size_t>(
      std::ranges::count_if(ranked, [&](const ScoredGroup& group) { return group.score > threshold; }));
}

// What a layer makes, behind the normalisation that alone reads it.
ValueId behind_norm(const Graph& graph, ValueId made) {
  for (ValueId value = made;;) {
    const std::vector<NodeId> readers = graph.readers(value);
    if (readers.size() != 1) return made;
    const Node& node = graph.nodes()[readers[0]];
    if (find_op(node.op).role == OpRole::Norm) return node.out[0];
    if (!find_op(node.op).train_only) return made;
    value = node.out[0];
  }
}

}  // namespace

std::vector<ParamId> batch_norm_scales(const Model& model) {
  std::vector<ParamId> scales;
  for (const NodeId at : model.graph.schedule(std::vector{model.logits})) {
    const Node& node = model.graph.nodes()[at];
    const OpDef& op = find_op(node.op);
    if (op.role != OpRole::Norm || !op.mixes_examples || node.in[1] == kNoValue) continue;
    const auto found = std::ranges::find(model.params, node.in[1], &ParamSpec::value);
    if (found != model.params.end()) scales.push_back(ParamId(found - model.params.begin()));
  }
  if (scales.empty()) {
    fail(ErrorKind::Settings, "{} has no batch norm, by whose scales channels are chosen", model.name);
  }
  return scales;
}

std::vector<ScoredGroup> scored_groups(const ChannelGroups& groups, std::span<const ParamSpec> specs,
                                       const std::vector<ParamId>& params, const EntryScore& score_of) {
  std::map<std::size_t, double> best;  // in order of groups
  for (const ParamId id : params) {
    const ParamSpec& spec = specs[static_cast<std::size_t>(id)];
    for (std::int64_t i = 0; i < spec.shape[0]; ++i) {
      const auto group = groups.group_of(spec.value, 0, i);
      if (!group) continue;
      const double score = score_of(id, i);
      if (std::isnan(score)) fail(ErrorKind::Settings, "the score of channel {} of {} is not a number", i, spec.name);
      const auto [found, added] = best.emplace(*group, score);
      if (!added) found->second = std::max(found->second, score);
    }
  }
  std::vector<ScoredGroup> scored;
  for (const auto& [group, score] : best) {
    scored.push_back({static_cast<std::int64_t>(group), groups.groups()[group].family, score});
  }
  return scored;
}

std::vector<std::int64_t> lowest_groups(const std::vector<ScoredGroup>& groups, const ChannelShare& share) {
  std::map<int, std::vector<ScoredGroup>> lists;  // that are ranked apart
  for (const ScoredGroup& group : groups) lists[share.scope == Scope::Layer ? group.family : 0].push_back(group);
  std::map<int, ScoredGroup> best;  // of each family
  std::map<int, bool> stays;        // does a family keep any?
  std::vector<std::int64_t> gone;
  for (auto& [key, ranked] : lists) {
    std::ranges::sort(ranked, ranks_before);
    const std::size_t count = staying(ranked, share);
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      best.emplace(ranked[i].family, ranked[i]);
      stays[ranked[i].family] |= i < count;
      if (i >= count) gone.push_back(ranked[i].group);
    }
  }
  for (const auto& [family, keeps] : stays) {
    if (!keeps) std::erase(gone, best.at(family).group);
  }
  std::ranges::sort(gone);
  return gone;
}

std::vector<std::int64_t> lowest_groups(std::vector<ScoredGroup> groups, std::int64_t count) {
  std::map<int, std::int64_t> left;  // of each family
  for (const ScoredGroup& group : groups) ++left[group.family];
  std::ranges::sort(groups, ranks_before);
  std::vector<std::int64_t> gone;
  for (auto group = groups.rbegin(); group != groups.rend() && std::ssize(gone) < count; ++group) {
    if (left[group->family] == 1) continue;
    --left[group->family];
    gone.push_back(group->group);
  }
  std::ranges::sort(gone);
  return gone;
}

void remove_groups(TrainState& state, const ChannelGroups& groups, const std::vector<std::int64_t>& gone) {
  std::vector<std::int64_t> of_family(static_cast<std::size_t>(groups.families()), 0);
  for (const std::int64_t group : gone) {
    ++of_family[static_cast<std::size_t>(groups.groups()[static_cast<std::size_t>(group)].family)];
  }
  for (std::size_t f = 0; f < of_family.size(); ++f) {
    state.log("remove_channels", groups.family_name(static_cast<int>(f)), static_cast<double>(of_family[f]));
  }
  state.remove_channels(gone);
}

MadeGroups made_groups(const GraphEditor& editor, const ChannelGroups& groups) {
  const Graph& graph = editor.model().graph;
  MadeGroups made;
  for (const Layer& layer : editor.layers()) {
    std::vector<std::optional<std::size_t>> channels;
    for (std::int64_t c = 0; c < graph.value(layer.weight).shape[0]; ++c) {
      channels.push_back(groups.group_of(layer.weight, 0, c));
    }
    const bool any = std::ranges::any_of(channels, [](const auto& group) { return group.has_value(); });
    if (any) made.emplace(layer.name, std::move(channels));
  }
  return made;
}

std::vector<NamedValue> add_gates(GraphEditor& editor) {
  const MadeGroups made = made_groups(editor, ChannelGroups(editor.model()));
  Graph& graph = editor.graph();
  std::vector<NamedValue> gates;
  for (const Layer& layer : editor.layers()) {
    if (!made.contains(layer.name)) continue;
    const ValueId out = behind_norm(graph, layer.out);
    const Shape whole = graph.value(out).shape;
    const ValueId gate = graph.constant(1.0, {whole[-1]}, layer.name + "/gate");
    editor.splice(out, [&](ValueId channels) {
      const ValueId zero = graph.constant(0.0, whole, layer.name + "/zero");
      const ValueId everywhere = graph.emit1("add_broadcast", {zero, gate});
      return graph.emit1("mul", {channels, everywhere}, {}, layer.name + "/gated");
    });
    gates.push_back({layer.name, gate});
  }
  return gates;
}

}  // namespace winnow
