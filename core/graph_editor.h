// The only way in which methods change a network's structure. Lives for one call of Method::edit; not synchronised.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/network_view.h"
#include "core/settings.h"

namespace winnow {

// Keep: a 0 means the weight is zero. Trainable: a 0 means the weight stays at its start value.
enum class MaskKind : std::uint8_t { Keep, Trainable };

// What a graph is for. Train: forward, backward, update. Probe: scores outside training. Export: the weights that layers
// compute with, as they are counted and written.
enum class Use : std::uint8_t { Train, Evaluate, Probe, Export };
inline constexpr Use kUses[] = {Use::Train, Use::Evaluate, Use::Probe, Use::Export};
const char* name_of(Use);  // "training", ...

class GraphEditor : public NetworkView {
 public:
  GraphEditor(Model& model, const Settings& train, Use use = Use::Train)
      : NetworkView(model), model_(model), builder_(model), train_(train), use_(use) {}
  GraphEditor(const GraphEditor&) = delete;
  GraphEditor& operator=(const GraphEditor&) = delete;

  Model& model() { return model_; }
  const Model& model() const { return model_; }
  Graph& graph() { return model_.graph; }
  ModelBuilder& build() { return builder_; }        // new layers and parameters
  const Settings& train() const { return train_; }  // the trial's "train." settings (weight_decay, optimizer, ...)
  // Edits may differ by use, but parameters and buffers must be the same for all (Touches::evaluation).
  Use use() const { return use_; }

  // Readers of the parameter's leaf read the value that `f` derives from it: effective weight = f(leaf, new leaves).
  void derive(ParamId weight, const std::function<ValueId(ValueId leaf)>& f);
  // Puts a block behind a value: its present readers read block(value) instead.
  void splice(ValueId at, const std::function<ValueId(ValueId)>& block);
  // Present readers of region.out read body(region.in) instead; parameters that nothing reads any more are retired.
  void replace_region(const Region& region, const std::function<ValueId(ValueId in)>& body);

  // A further term of the training loss, reported apart from the loss of the labels, under a name of its own. It counts
  // once for the whole batch, whatever the number of ranks. Evaluation and probes are of the labels' loss alone.
  void add_loss(ExtraLoss loss);
  // The weight of the labels' loss in what is trained: 1, but for a method that puts another term in its place. It is
  // reported as it is.
  void weigh_labels(double weight) { model_.label_weight *= weight; }
  // {N} i32, for terms that look at them: the class of each example of a training batch. Of the graph of Use::Train alone.
  ValueId labels();
  // Values that the network of another trial computes from the images of each training batch, in inference mode and
  // before this one's forward pass: `values` is given that network's editor and names them. Returns where they enter
  // this graph, that of Use::Train alone. Nothing of the other network is trained, stored or counted as this one's.
  // Error{Settings} if it takes other images, or if something else is learnt from already.
  std::vector<ValueId> learn_from(const Needed& teacher, std::function<std::vector<TaughtValue>(GraphEditor&)> values);
  // A number of each example, under a name of its own, whose mean over the test split TrainState::observed() gives. Of
  // the graph of Use::Evaluate alone.
  void observe(Observed observed);

  void freeze(ParamId param) { model_.param(param).trainable = false; }
  void store_seeded(ParamId param) { model_.param(param).seeded = true; }

 private:
  void retire_unread();
  void require_training(std::string_view what) const;
  Model& model_;
  ModelBuilder builder_;
  const Settings& train_;
  Use use_;
};

}  // namespace winnow
