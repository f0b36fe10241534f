// A network before training: its graph, its parameters and buffers, and the regions its builder
// named. Methods edit it through GraphEditor. Built anew for every batch size, always with the same
// parameters in the same order. A plain value; not synchronised.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/batch.h"
#include "core/graph.h"
#include "core/init.h"

namespace winnow {

enum class ParamId : std::uint32_t {};  // position in Model::params
class ParamStore;
class GraphEditor;
struct Needed;

enum class ParamRole : std::uint8_t { Weight, Bias, NormScale, NormShift, Coefficient, Basis, Score, Other };
const char* name_of(ParamRole);

struct ParamSpec {
  std::string name;  // "conv1.weight"
  Shape shape;
  ParamRole role = ParamRole::Weight;
  InitSpec init = {};
  bool trainable = true;     // false: frozen as a whole, no gradient is computed or sent
  bool prunable = false;     // member of the prunable set: masks of pruning methods act on it
  bool seeded = false;       // never updated and regenerated from its key: files store no values
  bool derived = false;      // layers read a function of it
  bool retired = false;      // replaced by another parametrisation; not trained, stored or counted
  double decay = 1, lr = 1;  // multipliers of weight decay and learning rate
  std::string layer = {};    // "conv1": the layer it belongs to
  Shape layer_shape = {};    // of that layer's weight, {O, I, KH, KW} or {out, in}: what ERK and fan-in mean
  // Of a parameter that a parametrisation added: the prunable tensor that keeps as many entries less, so that a
  // density means equal numbers of stored parameters. Nothing: a density does not count it.
  std::optional<ParamId> paid_by = {};
  // Of a parametrised weight: rewrites a copy of its entries to what methods that go by magnitude compare. Absent: the
  // entries as they are.
  std::function<void(const ParamStore& params, std::span<float> entries)> compared = {};
  ValueId value = kNoValue;  // its leaf in the graph
};

// State that is not trained by gradient: running statistics, and numbers that a method sets at events, such as the
// strength of a penalty. Only what is `stored` is part of the trained network and stands in result files.
struct BufferSpec {
  std::string name;
  Shape shape;
  double initial = 0;
  ValueId value = kNoValue;
  bool stored = true;
};

// A term of the training loss beside the loss of the labels: weight * value.
struct ExtraLoss {
  std::string name;
  ValueId value = kNoValue;  // {} f32: a mean over the rows of the batch, or a function of parameters alone
  double weight = 1;
  bool trained = true;  // false: only reported, since the update does its work (a proximal step)
};

// A value in the graph of a teacher's network that the trial which learns from it is fed.
struct TaughtValue {
  ValueId value = kNoValue;
  bool mean_over_ranks = false;  // {} f32: a mean over this rank's rows, of which the whole batch's is wanted
};

// What a network learns from another trial's (GraphEditor::learn_from).
struct Teaching {
  const Needed* teacher = nullptr;
  std::function<std::vector<TaughtValue>(GraphEditor& teacher)> values = {};
  std::vector<ValueId> inputs = {};  // of the graph that learns: where each of the values enters it
};

// A number of each example that evaluation averages.
struct Observed {
  std::string name;
  ValueId value = kNoValue;  // {N} f32
};

// A part of the network with one entry and one exit that a method may wrap or replace.
struct Region {
  std::string kind;          // "basic_block", "bottleneck", "conv_bn_relu" (VGG), "stage"
  std::string name;          // "stage2.block1"
  int stage = 0, block = 0;  // 0-based
  ValueId in = kNoValue, out = kNoValue;
};

struct Model {
  std::string name;
  Graph graph = {};
  std::vector<ParamSpec> params = {};
  std::vector<BufferSpec> buffers = {};
  std::vector<Region> regions = {};
  std::vector<ExtraLoss> losses = {};
  std::vector<Observed> observed = {};
  std::optional<Teaching> teaching = {};
  double label_weight = 1;    // of the cross-entropy to the labels in what is trained
  ValueId labels = kNoValue;  // {N} i32; nothing: no edit reads them
  ValueId input = kNoValue;   // {N, H, W, C} f32
  ValueId logits = kNoValue;  // {N, classes}
  ParamSpec& param(ParamId id) { return params.at(static_cast<std::size_t>(id)); }
  const ParamSpec& param(ParamId id) const { return params.at(static_cast<std::size_t>(id)); }
};

// Emits layers with their parameters. Names follow PyTorch: "<layer>.weight", "<layer>.bias", "<layer>.running_mean".
class ModelBuilder {
 public:
  explicit ModelBuilder(Model& model) : model_(model) {}

  // The network's input; with bf16 compute the images are cast once, here.
  ValueId input(const DataShape& shape, std::int64_t batch, DType compute);
  // How weights of conv2d() and linear() are drawn (fan_in and fan_out are filled in); biases are `bias_init`.
  void weight_init(InitSpec spec) { weight_init_ = spec; }
  void bias_init(InitSpec spec) { bias_init_ = spec; }

  // `groups` divides the channels in and out; as many groups as channels in: depthwise.
  ValueId conv2d(ValueId x, const std::string& name, std::int64_t out_channels, std::int64_t kernel,
                 std::int64_t stride = 1, std::int64_t pad = 0, bool bias = false, std::int64_t groups = 1);
  ValueId linear(ValueId x, const std::string& name, std::int64_t out_features, bool bias = true);
  ValueId batch_norm(ValueId x, const std::string& name, bool affine = true,
                     double scale = 1.0);                                     // scale: initial gamma
  ValueId layer_norm(ValueId x, const std::string& name, double eps = 1e-6);  // over the last axis
  ValueId relu(ValueId x, const std::string& name);
  ValueId add(ValueId a, ValueId b, const std::string& name);
  ValueId max_pool(ValueId x, const std::string& name, std::int64_t kernel, std::int64_t stride, std::int64_t pad = 0);
  ValueId avg_pool(ValueId x, const std::string& name, std::int64_t kernel, std::int64_t stride);
  ValueId global_avg_pool(ValueId x, const std::string& name);
  ValueId flatten(ValueId x, const std::string& name);
  ValueId dropout(ValueId x, const std::string& name, double p);
  // A node of an op without parameters.
  ValueId op(std::string_view op, std::vector<ValueId> in, const std::string& name, Attrs attrs = {});
  void region(const std::string& kind, const std::string& name, int stage, int block, ValueId in, ValueId out);
  void output(ValueId logits) { model_.logits = logits; }

  ParamId param(ParamSpec spec);  // adds a leaf; fills value
  ValueId buffer(const std::string& name, const Shape& shape, double initial, bool stored = true);
  Model& model() { return model_; }
  const Shape& shape(ValueId id) const { return model_.graph.value(id).shape; }

 private:
  // Leaves of a layer: weight of this shape, and bias or kNoValue.
  std::pair<ValueId, ValueId> add_weights(const std::string& layer, const Shape& shape, bool bias);
  // Scale and shift of a normalisation.
  std::pair<ValueId, ValueId> add_affine(const std::string& layer, const Shape& channels, double scale);
  Model& model_;
  InitSpec weight_init_{InitSpec::Kind::KaimingNormal};
  InitSpec bias_init_{InitSpec::Kind::Constant};
};

}  // namespace winnow
