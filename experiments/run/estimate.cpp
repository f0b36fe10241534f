#include "experiments/run/estimate.h"

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/passes.h"
#include "core/train_settings.h"
#include "experiments/accounting/layer_count.h"
#include "experiments/data/registry.h"
#include "experiments/run/trial_setup.h"

namespace winnow {
namespace {

// Rule of thumb of one core with AVX-512: what training reaches (docs/speed.md), normalisation and loading included.
constexpr double kFlopsPerSecondF32 = 1.6e11, kFlopsPerSecondBf16 = 2.6e11;
constexpr double kSecondsPerStep = 2e-4;
constexpr std::int64_t kBytesPerParam = 12;  // weight, gradient, momentum

std::string network_of(const TrialSpec& spec) {
  return spec.settings.text("data.name") + " " + spec.settings.text("model.name");
}

std::int64_t dense_params(const Model& model) {
  std::int64_t count = 0;
  for (const ParamSpec& spec : model.params) count += spec.shape.numel();
  return count;
}

std::int64_t prunable_params(const Model& model) {
  std::int64_t count = 0;
  for (const ParamSpec& spec : model.params) count += spec.prunable ? spec.shape.numel() : 0;
  return count;
}

// What the forward pass of one example keeps for the reverse pass, whose own values take the place
// of what has been used.
std::int64_t activation_bytes(Model model) {
  const std::span outputs(&model.logits, 1);
  fuse_norm(model.graph, outputs);
  std::int64_t bytes = 0;
  for (const NodeId node : model.graph.schedule(outputs)) {
    for (const ValueId id : model.graph.nodes()[node].out) {
      const ValueInfo& info = model.graph.value(id);
      bytes += info.shape.numel() * size_of(info.dtype);
    }
  }
  return bytes;
}

}  // namespace

TrialEstimate estimate(const TrialSpec& spec) {
  const Settings train = train_settings(spec);
  const DType compute = compute_type(train);
  const Model model = model_builder(spec)(1, compute);
  TrialEstimate e;
  e.params = dense_params(model);
  const std::int64_t prunable = prunable_params(model);
  const double density = spec.settings.has("method.density") ? spec.settings.real("method.density") : 1.0;
  e.kept = e.params - prunable + static_cast<std::int64_t>(density * static_cast<double>(prunable));
  e.macs_dense = static_cast<std::int64_t>(macs_dense(count_layers(model)));
  const std::int64_t rows = train.integer("batch") / spec.ranks;
  // Batches are read ahead, two for training and two for evaluation.
  const std::int64_t image_bytes = model.graph.value(model.input).shape.numel() * 4;
  const std::int64_t read_ahead = 2 * (rows + train.integer("eval_batch")) * image_bytes;
  e.memory_bytes = e.params * kBytesPerParam + rows * activation_bytes(model) + read_ahead;

  const DatasetDef& data = find_dataset(spec.settings.text("data.name"));
  const std::int64_t examples = data.train_examples(spec.settings.below("data"));
  const RunLength length = run_length(train, std::max<std::int64_t>(1, examples / train.integer("batch")));
  double steps = 0;
  const auto method = trial_method(spec);
  for (int phase = 0;; ++phase) {
    const auto next = method->phase(phase, length);
    if (!next) break;
    steps += static_cast<double>(next->last_step - next->first_step);
  }
  e.flops = 6.0 * static_cast<double>(e.macs_dense) * steps * static_cast<double>(train.integer("batch"));
  const double rate = compute == DType::BF16 ? kFlopsPerSecondBf16 : kFlopsPerSecondF32;
  e.seconds = (e.flops / rate + steps * kSecondsPerStep) / spec.ranks;
  return e;
}

void MeasuredTimes::add(const TrialSpec& spec, double estimated, double taken) {
  if (estimated <= 0 || taken <= 0) return;
  seen_.push_back({network_of(spec), spec.settings.text("method.name"), taken / estimated});
}

double MeasuredTimes::factor(const TrialSpec& spec) const {
  const std::string network = network_of(spec);
  const std::string& method = spec.settings.text("method.name");
  const std::function<bool(const Seen&)> nearness[] = {
      [&](const Seen& s) { return s.network == network && s.method == method; },
      [&](const Seen& s) { return s.network == network; }, [](const Seen&) { return true; }};
  for (const auto& near : nearness) {
    std::vector<double> ratios;
    for (const Seen& s : seen_) {
      if (near(s)) ratios.push_back(s.ratio);
    }
    if (ratios.empty()) continue;
    const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
    std::ranges::nth_element(ratios, middle);
    return *middle;
  }
  return 1;
}

}  // namespace winnow
