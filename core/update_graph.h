// The update of a trial as a graph: an optimiser emits the step of each trained parameter, a method may
// go on from there (Method::edit_update). Compiled apart from forward and backward, since gradients are
// summed over ranks between the two. Borrows the parameters; not synchronised.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/graph.h"
#include "core/param_store.h"
#include "core/settings.h"

namespace winnow {

// One trained parameter: the leaves of its memory, and the values that the update writes there.
struct ParamUpdate {
  ParamId id = {};
  std::string name = {};
  // The masks' memory is null while there is no mask.
  ValueId weight = kNoValue, grad = kNoValue, keep = kNoValue, train = kNoValue;
  std::vector<ValueId> slots = {};
  ValueId gradient = kNoValue;  // what the optimiser steps by: grad, or what UpdateGraph::before() makes of it
  ValueId moves = kNoValue;  // what the step obeys: train, unless a method has frozen entries move without a gradient
  ValueId rate = kNoValue;   // the factor {1} of Method::rate
  double lr = 1, weight_decay = 0;  // multiplier of the learning rate; decay of this parameter
  ValueId new_weight = kNoValue;
  std::vector<ValueId> new_slots = {};
};

class UpdateGraph {
 public:
  // Leaves for every trained parameter of `params` but those that rest. `phase`: the training run that it is the update of.
  UpdateGraph(const ParamStore& params, const Settings& train, int phase = 0, std::span<const ParamId> resting = {});

  int phase() const { return phase_; }

  Graph& graph() { return graph_; }
  std::span<ParamUpdate> updates() { return updates_; }
  // The factor {1} of all gradients, or kNoValue: train.clip_norm.
  ValueId grad_scale() const { return grad_scale_; }
  // A node that reads gradient and masks of every parameter; kNoValue if there is none to train.
  ValueId over_gradients(const char* op, Attrs attrs, const char* name);

  // The leaf of a parameter's values before this update, be it trained or not.
  ValueId weight(ParamId id);
  // What it has given of those that are not.
  std::span<const std::pair<ValueId, ParamId>> untrained() const { return untrained_; }
  // The update leaves `value`, computed by a node, in a buffer of the network of its size.
  void set_buffer(const std::string& name, ValueId value);
  // The values so left, with the position of each buffer in the store.
  std::span<const std::pair<ValueId, std::size_t>> new_buffers() const { return new_buffers_; }

  // The gradient that the optimiser steps by becomes f of it and the weight, before decay and momentum; nothing happens
  // if `id` is not trained. Clipping measures what the network's own pass has computed.
  void before(ParamId id, const std::function<ValueId(ValueId gradient, ValueId weight)>& f);
  // The weight that the update leaves becomes f of it; nothing happens if `id` is not trained. Elements of f
  // must depend on the same elements alone, since old and new weights share their memory.
  void then(ParamId id, std::function<ValueId(ValueId)> f);
  // The same for steps that look at several parameters: f sees the updates with the optimiser's steps in them.
  void then(std::function<void(UpdateGraph&)> f);
  // Has the optimiser's step of each parameter emitted, and after it what then() was given, in that order.
  void emit_steps(const std::function<void(ParamUpdate&)>& step);

 private:
  const ParamStore& params_;
  Graph graph_;
  int phase_;
  std::vector<ParamUpdate> updates_;
  std::vector<std::pair<ValueId, ParamId>> untrained_;
  std::vector<std::pair<ValueId, std::size_t>> new_buffers_;
  std::vector<std::function<void(UpdateGraph&)>> after_;
  ValueId grad_scale_ = kNoValue;
};

}  // namespace winnow
