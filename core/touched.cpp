#include "core/touched.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {
namespace {

// By node: does it lead to the logits?
std::vector<char> live_nodes(const Model& model) {
  std::vector<char> live(model.graph.node_count(), 0);
  for (const NodeId at : model.graph.schedule(std::vector{model.logits})) live[at] = 1;
  return live;
}

void require_same_state(const Model& a, const Model& b, Use use) {
  const auto same_param = [](const ParamSpec& x, const ParamSpec& y) {
    return x.name == y.name && x.shape == y.shape && x.trainable == y.trainable && x.retired == y.retired;
  };
  const auto same_buffer = [](const BufferSpec& x, const BufferSpec& y) {
    return x.name == y.name && x.shape == y.shape;
  };
  if (std::ranges::equal(a.params, b.params, same_param) && std::ranges::equal(a.buffers, b.buffers, same_buffer))
    return;
  fail(ErrorKind::Internal, "the network of {} has other parameters or buffers than that of {}", name_of(use),
       name_of(Use::Train));
}

}  // namespace

Touches touched(const Model& before, const Model& after) {
  Touches done;
  done.structure = before.logits != after.logits;
  const std::vector<char> was_live = live_nodes(before), is_live = live_nodes(after);
  const std::vector<char> activation = activations(before);
  for (NodeId at = 0; at < before.graph.node_count(); ++at) {
    if (was_live[at] == 0) continue;
    const Node &old_node = before.graph.nodes()[at], &node = after.graph.nodes()[at];
    if (is_live[at] == 0 || old_node.op != node.op || old_node.attrs != node.attrs ||
        old_node.in.size() != node.in.size()) {
      done.structure = true;
      continue;
    }
    for (std::size_t i = 0; i < node.in.size(); ++i) {
      if (node.in[i] == old_node.in[i]) continue;
      const ValueId old = old_node.in[i];
      (old == kNoValue || activation[static_cast<std::size_t>(old)] != 0 ? done.structure : done.weights_source) = true;
    }
  }
  for (std::size_t p = 0; p < before.params.size(); ++p) {
    if (before.params[p].shape != after.params[p].shape) done.structure = true;
  }
  return done;
}

Touches touched_by(Method& method, const Model& plain, const Settings& train) {
  const auto edited = [&](Use use) {
    Model model = plain;
    GraphEditor editor(model, train, use);
    method.edit(editor);
    return model;
  };
  const Model trained = edited(Use::Train);
  Touches done = touched(plain, trained);
  for (const Use use : {Use::Evaluate, Use::Probe, Use::Export}) {
    const Model other = edited(use);
    require_same_state(trained, other, use);
    const Touches differs = touched(trained, other);
    done.evaluation |= differs.structure || differs.weights_source;
  }
  return done;
}

void check_touches(const Touches& said, const Touches& done, std::string_view method) {
  const auto check = [&](bool Touches::*what, const char* name, const char* does) {
    if (said.*what || !(done.*what)) return;
    fail(ErrorKind::Internal, "method '{}' {}, which its touches() does not say: {} = true is missing", method, does,
         name);
  };
  check(&Touches::structure, "structure", "changes activations");
  check(&Touches::weights_source, "weights_source", "replaces what layers read as their weights");
  check(&Touches::masks, "masks", "sets masks");
  check(&Touches::phases, "phases", "directs more than one training run");
  check(&Touches::stored_form, "stored_form", "stores weights in a form of its own");
  check(&Touches::evaluation, "evaluation", "evaluates another network than it trains");
  check(&Touches::channels, "channels", "removes channels");
}

}  // namespace winnow
