#include "experiments/methods/synflow.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/op.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {

double synflow_density(double density, std::int64_t i, std::int64_t n) {
  if (i + 1 == n) return density;
  return std::pow(density, static_cast<double>(i + 1) / static_cast<double>(n));
}

namespace {

class SynFlow final : public MaskAtInit {
 public:
  explicit SynFlow(const Settings& settings) : MaskAtInit(settings) {}

  void edit(GraphEditor& editor) override {
    MaskAtInit::edit(editor);
    for (const Node& node : editor.graph().nodes()) {
      if (!find_op(node.op).makes_zeros) continue;
      fail(
          ErrorKind::Settings,
          "synflow scores the network of absolute values, where the absolute value of what '{}' trains would cut other "
          "weights",
          node.name);
    }
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    MaskAtInit::forecast(forecast, edited, length);
    if (!forecast.changes.empty()) forecast.scoring_images += settings().integer("iterations");
  }

 protected:
  std::vector<Bits> choose(TrainState& state, const std::vector<PrunedTensor>& tensors,
                           const DensityTarget& target) override {
    masks_.clear();
    for (const PrunedTensor& tensor : tensors) {
      masks_.push_back(mask_bits(state.params(), tensor, MaskKind::Keep));
    }
    const std::int64_t n = settings().integer("iterations");
    for (std::int64_t i = 0; i < n; ++i) {
      // Layers with a density of their own follow the same curve to that density.
      const DensityTarget now =
          target.mapped([&](double sparsity) { return sparsity_of(synflow_density(1.0 - sparsity, i, n)); });
      std::vector<DoubleScores> scores = flow(state, tensors);
      for (std::size_t t = 0; t < tensors.size(); ++t) {
        if (inverted()) invert(scores[t]);
        // A zero score of a live weight must not lose to a weight that is gone.
        for (std::size_t j = 0; j < scores[t].size(); ++j) {
          if (masks_[t][j] == 0) scores[t][j] = -HUGE_VAL;
        }
      }
      masks_ = select(i + 1 == n ? target : now, tensors, scores);
    }
    return masks_;
  }

 private:
  using DoubleScores = std::vector<double>;

  // |weight * derivative of the sum of the outputs|, for an image of ones in the network of absolute values.
  std::vector<DoubleScores> flow(TrainState& state, const std::vector<PrunedTensor>& tensors) const {
    ProbeRequest request = request_of(state, tensors);
    if (settings().text("normalise") == "layer") normalise(state, tensors, request);
    ProbeResult result = state.probe(request);
    if (settings().text("normalise") == "auto" && !usable(result)) {
      normalise(state, tensors, request);
      result = state.probe(request);
    }
    if (!usable(result)) {
      fail(ErrorKind::Settings, "synflow: the sum of the outputs is {}, so weights cannot be scored", result.loss);
    }
    std::vector<DoubleScores> scores;
    for (const PrunedTensor& tensor : tensors) {
      const auto id = static_cast<std::size_t>(tensor.id);
      const std::vector<float>& weights = request.weights[id];
      const std::vector<double>& grads = result.double_grads.at(id);
      if (grads.size() != weights.size()) {
        fail(ErrorKind::Internal, "no gradient of {} to score its weights with", tensor.name);
      }
      DoubleScores& layer = scores.emplace_back(weights.size());
      for (std::size_t i = 0; i < layer.size(); ++i) layer[i] = static_cast<double>(weights[i]) * grads[i];
    }
    return scores;
  }

  // Everything by its absolute value, the present masks applied.
  ProbeRequest request_of(TrainState& state, const std::vector<PrunedTensor>& tensors) const {
    ProbeRequest request;
    request.input = ProbeRequest::Input::Ones;
    request.loss = ProbeRequest::Loss::SumOfLogits;
    request.norm = NormStatistics::Running;
    request.absolute_buffers = true;
    request.in_double = true;
    ParamStore& params = state.params();
    for (std::size_t i = 0; i < params.size(); ++i) {
      std::vector<float>& values = request.weights.emplace_back();
      for (const float value : params.weight(ParamId(i))) values.push_back(std::fabs(value));
    }
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      std::vector<float>& values = request.weights[static_cast<std::size_t>(tensors[t].id)];
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = masks_[t][i] != 0 ? values[i] : 0;
    }
    return request;
  }

  // Divides each tensor by its mean incoming sum, so that a layer multiplies activations by
  // about 1. Without shortcuts this shrinks all scores alike; the largest weight as divisor would
  // still overflow in deep networks.
  static void normalise(TrainState& state, const std::vector<PrunedTensor>& tensors, ProbeRequest& request) {
    state.log("synflow_normalised", "", 1);
    for (const PrunedTensor& tensor : tensors) {
      std::vector<float>& values = request.weights[static_cast<std::size_t>(tensor.id)];
      double sum = 0;
      for (const float value : values) sum += static_cast<double>(value);
      const double divisor = sum / static_cast<double>(tensor.shape[0]);
      if (divisor == 0) continue;
      for (float& value : values) value = static_cast<float>(static_cast<double>(value) / divisor);
    }
  }

  static bool usable(const ProbeResult& result) {
    if (!std::isfinite(result.loss) || result.loss == 0) return false;
    const auto finite = [](double grad) { return std::isfinite(grad); };
    return std::ranges::all_of(result.double_grads,
                               [&](const DoubleScores& grads) { return std::ranges::all_of(grads, finite); });
  }

  std::vector<Bits> masks_;  // of the round in progress
};

}  // namespace

MethodDef synflow() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "synflow";
  def.version = 3;  // 2: scores are f32 whatever training computes in; 3: they are f64
  def.meaning = "keeps the weights that carry most of the flow of absolute values, without data, in rounds";
  def.source = "Tanaka et al. 2020 (arXiv 2006.05467), code ganguli-lab/Synaptic-Flow";
  def.schema = joined({density_schema(),
                       {{.key = "iterations",
                         .kind = Kind::Int,
                         .fallback = "100",
                         .range = Range{1, 1e5},
                         .unit = "rounds",
                         .meaning = "rounds of scoring and pruning; after round i of n density^(i/n) is kept",
                         .source = "100 in the paper; 1 is the default of the code"},
                        {.key = "normalise",
                         .kind = Kind::Choice,
                         .fallback = "auto",
                         .choices = {"auto", "none", "layer"},
                         .meaning = "divide each layer's weights by their mean incoming sum while scoring: never, "
                                    "always, or where double precision overflows; changes the order of scores only in "
                                    "networks with shortcuts",
                         .source = "ours: scores are computed in double precision, as in the code for deep networks"},
                        reinit_setting()},
                       ablation_schema()});
  def.make = [](const Settings& s) { return std::make_unique<SynFlow>(s); };
  def.example = {.settings = {{"iterations", "5"}}};
  return def;
}

}  // namespace winnow
