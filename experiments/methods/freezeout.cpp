// FreezeOut: each layer's learning rate falls to zero on a cosine of its own, the earlier the layer the sooner; from then on
// the layer rests, and the reverse pass ends behind it.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "experiments/methods/registry.h"

namespace winnow {
namespace {

class FreezeOut final : public Method {
 public:
  explicit FreezeOut(const Settings& settings)
      : first_(settings.real("t0")),
        power_(settings.text("spread") == "linear"    ? 1
               : settings.text("spread") == "squared" ? 2
                                                      : 3),
        scaled_(settings.flag("scaled")) {}

  Touches touches() const override { return {}; }

  void edit(GraphEditor& editor) override {
    const std::string& schedule = editor.train().text("schedule.kind");
    if (schedule != "constant") {
      fail(ErrorKind::Settings,
           "method.name: freezeout gives every layer a cosine of its own, so train.schedule.kind must be constant, not "
           "{}",
           schedule);
    }
    find_layers(editor);
  }

  void schedule(EventPlan& plan, const RunLength& length) const override {
    for (std::size_t p = 0; p < layer_of_.size(); ++p) {
      if (layer_of_[p] < 0) continue;
      const std::int64_t end = end_of(layer_of_[p], length);
      if (end >= length.steps) continue;
      plan.resting[ParamId(p)].add({.from = end});
      plan.after_step.at(end);
    }
  }

  double rate(ParamId param, std::int64_t step, const RunLength& length) const override {
    const int layer = layer_of_.at(static_cast<std::size_t>(param));
    if (layer < 0) return 1;
    const double share = share_of(layer), whole = static_cast<double>(length.steps) * share;
    if (static_cast<double>(step) >= whole) return 0;
    return 0.5 / (scaled_ ? share : 1.0) * (1 + std::cos(std::numbers::pi * static_cast<double>(step) / whole));
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    for (int layer = 0; moment.when == When::AfterStep && layer < std::ssize(names_); ++layer) {
      if (end_of(layer, state.length()) != moment.step) continue;
      state.log("frozen", names_[static_cast<std::size_t>(layer)], layer);
    }
    return Verdict::Update;
  }

 private:
  // The share of the run for which a layer is trained.
  double share_of(int layer) const {
    const auto last = static_cast<double>(std::max<std::ptrdiff_t>(std::ssize(names_) - 1, 1));
    const double at = names_.size() == 1 ? 1.0 : layer / last;
    return std::pow(first_ + (1 - first_) * at, power_);
  }
  // The first step at which its rate is zero.
  std::int64_t end_of(int layer, const RunLength& length) const {
    return static_cast<std::int64_t>(std::ceil(static_cast<double>(length.steps) * share_of(layer)));
  }

  // Parameters belong to the layer that reads them; those of a normalisation and of whatever else has some, to the layer
  // that it follows at once, or else to the next one: the last normalisation of a network whose blocks begin with one
  // belongs to the classifier.
  void find_layers(GraphEditor& editor) {
    const Model& model = editor.model();
    const Graph& graph = model.graph;
    const std::vector<Layer> layers = editor.layers();
    const std::vector<char> computed = activations(model);
    layer_of_.assign(model.params.size(), -1);
    names_.clear();
    for (const Layer& layer : layers) names_.push_back(layer.name);
    int next = 0;
    for (const NodeId at : graph.schedule(std::vector{model.logits})) {
      const Node& node = graph.nodes()[at];
      if (computed[static_cast<std::size_t>(node.out[0])] == 0) continue;
      const bool is_layer = next < std::ssize(layers) && layers[static_cast<std::size_t>(next)].node == at;
      int owner = std::min<int>(next, static_cast<int>(std::ssize(layers)) - 1);
      if (is_layer) ++next;
      const auto behind = std::ranges::find(layers, node.in[0], &Layer::out);
      if (!is_layer && behind != layers.end()) owner = static_cast<int>(behind - layers.begin());
      for (const ValueId in : node.in) {
        if (in == kNoValue || computed[static_cast<std::size_t>(in)] != 0) continue;
        for (const ParamId id : editor.leaves(in)) {
          int& layer = layer_of_[static_cast<std::size_t>(id)];
          layer = std::max(layer, owner);  // of a parameter that layers share, the last
        }
      }
    }
  }

  double first_;
  int power_;
  bool scaled_;
  std::vector<std::string> names_;  // of layers
  std::vector<int> layer_of_;       // by ParamId; -1: nothing reads it
};

}  // namespace

MethodDef freezeout() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "freezeout";
  def.meaning =
      "lowers the learning rate of each layer on a cosine of its own and stops training it at the end of that, "
      "first layers first";
  def.source = "Brock et al. 2017, ajbrock/FreezeOut";
  def.schema = {
      {.key = "t0",
       .kind = Kind::Real,
       .fallback = "0.8",
       .range = Range{0, 1, true},
       .unit = "share",
       .meaning = "share of the run after which the first layer is frozen, before it is raised to a power; that of the "
                  "last layer is 1, and between them it rises by equal steps",
       .source = "ajbrock/FreezeOut"},
      {.key = "spread",
       .kind = Kind::Choice,
       .fallback = "cubed",
       .choices = {"linear", "squared", "cubed"},
       .meaning = "the power to which these shares are raised",
       .source = "Brock et al. 2017"},
      {.key = "scaled",
       .kind = Kind::Bool,
       .fallback = "true",
       .meaning =
           "a layer that is trained for a share of the run starts at train.lr divided by that share, so that all "
           "layers go equally far",
       .source = "Brock et al. 2017"},
  };
  def.make = [](const Settings& s) { return std::make_unique<FreezeOut>(s); };
  def.example = {.settings = {{"t0", "0.5"}, {"scaled", "false"}}};
  return def;
}

}  // namespace winnow
