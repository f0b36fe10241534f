// GraSP: keeps the weights without which the flow of gradient would fall.
#include "experiments/methods/grasp.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {
namespace {

using Values = std::vector<std::vector<double>>;  // by ParamId; empty where the parameter is as it is

constexpr std::int64_t kHalves = 2;

// The weights that are scored: linear layers drawn anew where the options say so. A weight that layers read a function
// of keeps its values: its parameters are no weights of a linear layer.
Values scored_weights(TrainState& state, const std::vector<PrunedTensor>& tensors, bool redraw_linear) {
  Values weights(state.params().size());
  for (const PrunedTensor& tensor : tensors) {
    const auto values = state.params().weight(tensor.id);
    auto& own = weights[static_cast<std::size_t>(tensor.id)];
    own.assign(values.begin(), values.end());
    const bool derived = state.params().specs()[static_cast<std::size_t>(tensor.id)].derived;
    if (!redraw_linear || tensor.shape.rank() != 2 || derived) continue;
    InitSpec xavier{InitSpec::Kind::XavierNormal};
    set_fans(xavier, tensor.shape);
    std::vector<float> drawn(own.size());
    generate(xavier, state.rng("grasp/" + tensor.name), drawn);
    own.assign(drawn.begin(), drawn.end());
  }
  return weights;
}

void check(const std::vector<double>& gradient, const PrunedTensor& tensor) {
  if (std::ssize(gradient) != tensor.numel) {
    fail(ErrorKind::Internal, "no gradient of {} to score its weights with", tensor.name);
  }
  if (std::ranges::all_of(gradient, [](double one) { return std::isfinite(one); })) return;
  fail(ErrorKind::Settings, "grasp: the gradient of {} is not a number, so weights cannot be scored", tensor.name);
}

double norm_of(const Values& values, const std::vector<PrunedTensor>& tensors) {
  double sum = 0;
  for (const PrunedTensor& tensor : tensors) {
    for (const double x : values[static_cast<std::size_t>(tensor.id)]) sum += x * x;
  }
  return std::sqrt(sum);
}

class Grasp final : public MaskAtInit {
 public:
  explicit Grasp(const Settings& settings)
      : MaskAtInit(settings),
        options_{.temperature = settings.real("temperature"),
                 .samples_per_class = settings.integer("samples_per_class"),
                 .iterations = settings.integer("iterations"),
                 .redraw_linear = settings.flag("redraw_linear")} {}

  void edit(GraphEditor& editor) override {
    MaskAtInit::edit(editor);
    const std::int64_t examples = examples_of(editor.model());
    if (examples % kHalves == 0) return;
    fail(ErrorKind::Settings, "method.samples_per_class: {} of each class are {} examples, which have no equal halves",
         options_.samples_per_class, examples);
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    MaskAtInit::forecast(forecast, edited, length);
    constexpr std::int64_t kProbes = 3;  // the gradient, and those on both sides
    if (!forecast.changes.empty()) forecast.scoring_images += kProbes * options_.iterations * examples_of(edited);
  }

 protected:
  std::vector<Bits> choose(TrainState& state, const std::vector<PrunedTensor>& tensors,
                           const DensityTarget& target) override {
    auto flow = gradient_flow(state, tensors, options_);
    for (auto& layer : flow) {
      if (inverted()) invert(layer);
    }
    return select(target, tensors, flow);
  }

 private:
  // Of an iteration.
  std::int64_t examples_of(const Model& model) const {
    return model.graph.value(model.logits).shape[-1] * options_.samples_per_class;
  }
  GraspOptions options_;
};

}  // namespace

std::vector<std::vector<double>> gradient_flow(TrainState& state, const std::vector<PrunedTensor>& tensors,
                                               const GraspOptions& options) {
  ProbeRequest request{.input = ProbeRequest::Input::Balanced,
                       .temperature = options.temperature,
                       .norm = NormStatistics::Batch,
                       .batches = options.iterations,
                       .per_class = options.samples_per_class,
                       .parts = kHalves,
                       .in_double = true};
  const auto gradient_at = [&](const Values& weights) {
    request.double_weights = weights;
    Values gradient = state.probe(request).double_grads;
    for (const PrunedTensor& tensor : tensors) check(gradient.at(static_cast<std::size_t>(tensor.id)), tensor);
    return gradient;
  };
  const Values weights = scored_weights(state, tensors, options.redraw_linear), gradient = gradient_at(weights);
  const double length = norm_of(gradient, tensors);
  const double shift = length > 0 ? options.step * norm_of(weights, tensors) / length : 0;
  const auto gradient_beside = [&](double factor) {
    Values moved = weights;
    for (const PrunedTensor& tensor : tensors) {
      const auto at = static_cast<std::size_t>(tensor.id);
      for (std::size_t i = 0; i < moved[at].size(); ++i) moved[at][i] += factor * gradient[at][i];
    }
    return gradient_at(moved);
  };
  const Values above = gradient_beside(shift), below = gradient_beside(-shift);
  std::vector<std::vector<double>> flow;
  for (const PrunedTensor& tensor : tensors) {
    const auto at = static_cast<std::size_t>(tensor.id);
    auto& product = flow.emplace_back(weights[at].size());
    for (std::size_t i = 0; i < product.size() && shift != 0; ++i) {
      product[i] = weights[at][i] * (above[at][i] - below[at][i]) / (2 * shift);
    }
  }
  return flow;
}

MethodDef grasp() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "grasp";
  def.meaning =
      "prunes the weights without which the gradient's norm rises most: the largest -w * (Hessian times gradient) "
      "of the initial network, over all layers";
  def.source = "Wang, Zhang and Grosse 2020 (arXiv 2002.07376), code alecwangcq/GraSP";
  def.schema =
      joined({density_schema(),
              {{.key = "samples_per_class",
                .kind = Kind::Int,
                .fallback = "10",
                .range = Range{1, 1e6},
                .unit = "examples",
                .meaning = "examples of each class that are scored on, in two halves ordered by class",
                .source = "official code: 10 for CIFAR-10, 5 for CIFAR-100"},
               {.key = "iterations",
                .kind = Kind::Int,
                .fallback = "1",
                .range = Range{1, 1e6},
                .meaning = "how often, each time on other examples",
                .source = "official code (num_iters): 1 for CIFAR-10, 2 for CIFAR-100 at 98 %"},
               {.key = "temperature",
                .kind = Kind::Real,
                .fallback = "200",
                .range = Range{0, 1e9, true},
                .meaning = "what logits are divided by",
                .source = "official code"},
               {.key = "redraw_linear",
                .kind = Kind::Bool,
                .fallback = "true",
                .meaning = "scores linear layers with newly drawn weights, Xavier normal; they are trained from "
                           "their own",
                .source = "official code"},
               reinit_setting()},
              ablation_schema()});
  def.make = [](const Settings& s) { return std::make_unique<Grasp>(s); };
  def.example = {.settings = {{"samples_per_class", "2"}}};
  return def;
}

}  // namespace winnow
