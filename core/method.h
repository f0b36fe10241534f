// The interface of a method: something that may rewrite the network, mask weights and act at
// moments of training. A method object belongs to one trial on one rank; every rank makes the same
// calls with the same inputs, and anything random draws from TrainState::rng, whose keys have no
// rank in them. Not synchronised.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/channel_groups.h"
#include "core/encoded.h"
#include "core/event_plan.h"
#include "core/graph_editor.h"
#include "core/mask_forecast.h"
#include "core/needed.h"
#include "core/param_store.h"
#include "core/passes.h"
#include "core/settings.h"
#include "core/state.h"
#include "core/update_graph.h"

namespace winnow {

enum class When : std::uint8_t {
  Begin,          // before the first step of a phase: weights are initialised, nothing was trained
  AfterBackward,  // gradients are reduced over ranks, nothing was updated; dense where EventPlan
                  // asked for it
  AfterStep,      // weights were updated; step() counts that update
  EpochEnd,       // after the evaluation of an epoch
  PhaseEnd        // after the last step of a phase
};
const char* name_of(When);  // "Begin", ...
struct Moment {
  When when;
  std::int64_t step;   // updates applied so far
  std::int64_t epoch;  // step / steps_per_epoch
  int phase;
};
// What the trainer does after AfterBackward: apply the update, or skip it (the batch is used up,
// step does not advance).
enum class Verdict : std::uint8_t { Update, SkipUpdate };

struct RunLength {
  std::int64_t steps = 0, steps_per_epoch = 1;
  std::int64_t resolve(const Length& length) const { return length.steps(steps_per_epoch); }
};

// A value of a probe's network that its edit names.
struct NamedValue {
  std::string name;
  ValueId value = kNoValue;  // f32
};

// An extra forward and backward pass outside training. It never changes weights, masks, slots,
// running statistics, data order or random streams (property 7 of the specification); data-parallel
// ranks share the work and get equal sums.
struct ProbeRequest {
  // Ones: batch 1, all ones. Balanced: a set of as many examples of every class, which each rank computes whole.
  enum class Input : std::uint8_t { TrainBatches, Ones, Balanced } input = Input::TrainBatches;
  enum class Loss : std::uint8_t { CrossEntropy, SumOfLogits } loss = Loss::CrossEntropy;
  double temperature = 1;  // of the cross-entropy: logits are divided by it
  NormStatistics norm = NormStatistics::Batch;
  std::int64_t first_batch = 0,
               batches = 1;  // of the training order, or sets; gradients are averaged over them
  // Of a balanced set: the next examples of each class in the training order, ordered by class and cut into equal parts,
  // which are batches of their own (of batch norm, too). Error{Input} for a class with too few examples.
  std::int64_t per_class = 1, parts = 1;
  // Edits the probe's own network after the method has: adds gates, say, and names the values that are wanted. Values of
  // several batches are averaged. Probes whose edits have one name share a network, so they must do the same; without a
  // name each builds its own.
  std::function<std::vector<NamedValue>(GraphEditor&)> edit = {};
  std::string edit_name = {};
  // Values to use in place of the weights (index = ParamId; empty entries: the weights as they
  // are), and absolute values of the buffers (SynFlow).
  std::vector<std::vector<float>> weights = {};
  bool absolute_buffers = false;
  // Computed in double precision on the host, for Input::Ones and Input::Balanced: scores whose order rounding would
  // change. Error{Settings} if the network has an op that is not defined there.
  bool in_double = false;
  std::vector<std::vector<double>> double_weights = {};  // of a probe in double, in place of `weights`
};
struct ProbeResult {
  double loss = 0;
  std::vector<std::vector<float>> grads;               // index = ParamId; empty for parameters without a gradient
  std::vector<std::vector<double>> double_grads = {};  // of a probe in double, in place of grads
  // What the request's edit named, and the gradient of the loss by it (empty if there is none). An activation, of which
  // row i is the example i of the batch, has the rows of all ranks; of any other value each rank has the same, and its
  // gradient is that of the whole batch.
  struct Named {
    Shape shape;
    std::vector<float> value, gradient;
  };
  std::map<std::string, Named> named = {};
};

// What a method sees of a training run.
class TrainState {
 public:
  virtual ~TrainState() = default;
  virtual std::int64_t step() const = 0;
  virtual const RunLength& length() const = 0;
  virtual double learning_rate() const = 0;                    // of the coming update
  virtual std::vector<ParamId> resting() const { return {}; }  // not trained by it (EventPlan::resting)
  virtual ParamStore& params() = 0;
  virtual std::vector<ParamId> prunable() const = 0;  // the prunable set in graph order (0.1 of the specification)
  virtual ProbeResult probe(const ProbeRequest&) = 0;
  // Replaces running statistics by their mean over the coming `batches` of the training order, which are not used up:
  // forward passes as in training, for a network that was changed. All ranks share the work.
  virtual void recalibrate(std::int64_t batches) = 0;
  // Effective weights as the layers read them (after all derivations), in the order of layers(): name and values.
  struct LayerWeight {
    std::string layer;
    Shape shape;
    std::vector<float> values;
  };
  virtual std::vector<LayerWeight> effective_weights() = 0;
  // Mean over the test split of what the method observes (GraphEditor::observe), at the newest evaluation of this run;
  // NaN before the first one, and for a name that nobody observes.
  virtual double observed(std::string_view name) const = 0;
  // Of the network as it is now, with the edits.
  virtual ChannelGroups channel_groups() const = 0;
  // The network has these groups no more, by position in channel_groups(): parameters, optimiser state, masks and
  // statistics of all others stay as they are, and training goes on with a smaller program. Views of parameters that were
  // read before are void. At every event but AfterBackward, on all ranks alike; Error{Settings} if a layer would be left
  // without channels.
  virtual void remove_channels(std::span<const std::int64_t> groups) = 0;
  virtual RngKey rng(std::string_view stream) const = 0;  // of the trial's method seed; step = updates applied so far
  // One row of /events: "drop_grow" of "conv1" with value 123.
  virtual void log(std::string_view what, std::string_view layer, double value) = 0;
};

// What a method changes. Two of the same kind exclude each other (but for structure). What edit() does beyond it is an
// error when a trial is planned (core/touched.h); masks beyond it fail the property suite, which runs every method.
struct Touches {
  bool structure = false;       // adds, removes or replaces activations
  bool weights_source = false;  // effective weight = f(leaves)
  bool masks = false;           // owns Keep or Trainable masks of the prunable set
  bool phases = false;          // directs more than one training run (Method::phase)
  bool stored_form = false;     // stores trained weights in a form of its own (Method::encode)
  bool evaluation = false;      // evaluation computes with another network than training (GraphEditor::use)
  bool channels = false;        // removes channels in the course of training (TrainState::remove_channels)
};

// One training run of a trial. Most methods have one; iterative pruning has many. One without steps is work after
// training: the method acts at its Begin, on the network as it is. What events change after the last evaluation of a
// phase is evaluated at its end, unless the next phase starts from other weights.
struct Phase {
  enum class Start : std::uint8_t { Initial, Rewind, Continue };  // Rewind: the snapshot of phase 0 at first_step
  std::string name = "train";
  Start start = Start::Initial;
  std::int64_t first_step = 0,
               last_step = 0;  // updates; schedule and data order are those of first_step
  bool reset_optimizer = true;
  std::optional<std::int64_t> snapshot = {};  // keep the state before this update for later phases
  // Of the update after so many of this phase; absent: the trial's schedule at step().
  std::function<double(std::int64_t updates)> learning_rate = {};
  bool trains() const { return last_step > first_step; }
  // Work on the network as it is after `step` updates.
  static Phase work(std::string name, std::int64_t step) {
    return {.name = std::move(name),
            .start = Start::Continue,
            .first_step = step,
            .last_step = step,
            .reset_optimizer = false};
  }
};

// Named scalars a method adds to the summary of a trial ("method.beta").
using Facts = std::map<std::string, double>;

class Method {
 public:
  virtual ~Method() = default;
  virtual Touches touches() const = 0;
  // A finished trial that a setting of the method names (Setting::Kind::Trial), which outlives the method. Called once for
  // each, before edit(). Of a trial that is only planned it is not called.
  virtual void take(const Needed&) {}
  // Called once for every graph that is built: must make the same edits each time for the same editor.use().
  virtual void edit(GraphEditor&) {}
  // What the method adds to every update: terms of gradients, projections, proximal steps, noise. Like edit() it must do
  // the same each time in the same phase.
  virtual void edit_update(UpdateGraph&) {}
  virtual void schedule(EventPlan&, const RunLength&) const {}
  // A factor on the learning rate of a parameter, for the update after `step` updates. Pure.
  virtual double rate(ParamId, std::int64_t /*step*/, const RunLength&) const { return 1; }
  virtual Verdict on_event(const Moment&, TrainState&) { return Verdict::Update; }
  // Phase `index`, or nothing after the last. Pure, so that a killed trial replays it.
  virtual std::optional<Phase> phase(int index, const RunLength& length) const {
    if (index > 0) return std::nullopt;
    return Phase{.last_step = length.steps};
  }
  // How the trained values of a parameter are stored, or nothing: as they are. Asked for each one after the last
  // training run, on every rank alike; what is decoded takes the place of the values and is evaluated. Of the entries
  // that a Keep mask of the parameter drops the form says nothing. Of a weight that is derived it is the form of what its
  // layer reads, and decodes to just that (Error{Internal} otherwise), so that nothing takes its place.
  virtual std::optional<Encoded> encode(ParamId, const ParamStore&) { return std::nullopt; }
  // What schedule(), on_event() and phase() will do to the masks of `edited`, the network after edit(). For plans.
  virtual void forecast(MaskForecast&, const Model& /*edited*/, const RunLength&) const {}
  virtual void save(StateWriter&) const {}
  virtual void load(StateReader&) {}
  virtual void report(TrainState&, Facts&) const {}
};

}  // namespace winnow
