// The update of a trial as a graph: an optimiser emits the step of each trained parameter, a method may
// go on from there (Method::edit_update). Compiled apart from forward and backward, since gradients are
// summed over ranks between the two. A plain value; not synchronised.
#pragma once

#include <functional>
#include <span>
#include <string>
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
  ValueId rate = kNoValue;          // the factor {1} of Method::rate
  double lr = 1, weight_decay = 0;  // multiplier of the learning rate; decay of this parameter
  bool decays_frozen = false;       // entries with Trainable 0 decay, too
  ValueId new_weight = kNoValue;
  std::vector<ValueId> new_slots = {};
};

class UpdateGraph {
 public:
  // Leaves for every trained parameter of `params` but those that rest.
  UpdateGraph(const ParamStore& params, const Settings& train, std::span<const ParamId> resting = {});

  Graph& graph() { return graph_; }
  std::span<ParamUpdate> updates() { return updates_; }
  // The factor {1} of all gradients, or kNoValue: train.clip_norm.
  ValueId grad_scale() const { return grad_scale_; }
  // A node that reads gradient and masks of every parameter; kNoValue if there is none to train.
  ValueId over_gradients(const char* op, Attrs attrs, const char* name);

  // The weight that the update leaves becomes f of it; nothing happens if `id` is not trained. Elements of f
  // must depend on the same elements alone, since old and new weights share their memory.
  void then(ParamId id, const std::function<ValueId(ValueId)>& f);

 private:
  Graph graph_;
  std::vector<ParamUpdate> updates_;
  ValueId grad_scale_ = kNoValue;
};

}  // namespace winnow
