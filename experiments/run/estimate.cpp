#include "experiments/run/estimate.h"

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/optimizer.h"
#include "core/passes.h"
#include "core/train_settings.h"
#include "experiments/accounting/foresee.h"
#include "experiments/accounting/layer_count.h"
#include "experiments/results/result_size.h"
#include "experiments/run/trial_setup.h"

namespace winnow {
namespace {

// Of what this machine's core was measured to do (docs/speed.md): layers of training multiply at this share of a large product's
// rate, and values go through memory so often.
constexpr double kShareOfProduct = 0.8;
constexpr double kActivationPasses = 6, kParamPasses = 8;
constexpr double kSecondsPerStep = 5e-5;
constexpr std::int64_t kBytesPerParam = 12;  // weight, gradient, momentum

std::string network_of(const TrialTable& trials, std::size_t at) {
  return trials.text(at, "data.name") + " " + trials.text(at, "model.name");
}

std::int64_t parameters(const Model& model) {
  std::int64_t count = 0;
  for (const ParamSpec& spec : model.params) count += spec.retired ? 0 : spec.shape.numel();
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

TrialEstimate estimate(const TrialSpec& spec, const MachineSpeed& core) {
  const TrialSetup setup(spec);
  const Settings& train = setup.train();
  const DType compute = compute_type(train);
  const std::unique_ptr<Method> method = setup.method();
  const Model dense = setup.build()(1, compute), edited = setup.edited(*method, dense);
  const std::int64_t batch = train.integer("batch"), rows = batch / spec.ranks;
  const RunLength length = setup.length();
  const bool start_file = spec.settings.has("init.from") && !spec.settings.text("init.from").empty();
  const int passes = Optimizer::passes(train);
  const Foreseen foreseen = foresee({dense, edited, *method, length, batch, start_file, passes});

  TrialEstimate e;
  const auto count = [&](const char* name) { return static_cast<std::int64_t>(foreseen.summary.at(name)); };
  e.params = count("params.total");
  e.kept = count("params.kept");
  e.kept_at_most = foreseen.upper_bound;
  e.equal_shares = foreseen.equal_shares;
  e.macs_dense = count("macs.dense");
  e.macs_sparse = count("macs.sparse");
  e.flops = 2 * foreseen.train_macs;
  // Batches are read ahead, two for training and two for evaluation.
  const std::int64_t image_bytes = edited.graph.value(edited.input).shape.numel() * 4;
  const std::int64_t read_ahead = 2 * (rows + train.integer("eval_batch")) * image_bytes;
  const std::int64_t bytes_per_param = kBytesPerParam + (passes - 1) * std::int64_t{sizeof(float)};
  e.memory_bytes = parameters(edited) * bytes_per_param + rows * activation_bytes(edited) + read_ahead;

  double steps = 0;
  for (int index = 0; auto phase = method->phase(index, length); ++index) {
    steps += static_cast<double>(phase->last_step - phase->first_step);
    e.phases.push_back(std::move(*phase));
  }
  e.epochs = static_cast<std::int64_t>(steps) / length.steps_per_epoch;
  const TableRows tables{.epochs = e.epochs,
                         .steps = static_cast<std::int64_t>(steps) / spec.settings.integer("save.metrics.every")};
  e.result_bytes = expected_result_bytes(foreseen.tensors, spec.settings, tables);
  e.checkpoint_bytes = expected_checkpoint_bytes(foreseen.tensors, std::ssize(Optimizer::slots(train)));

  const double macs = macs_dense(count_layers(edited)) + macs_of_products(edited);
  const auto of_rank = static_cast<double>(passes * rows);  // examples of a step
  const double moved = of_rank * kActivationPasses * static_cast<double>(activation_bytes(edited)) +
                       kParamPasses * sizeof(float) * static_cast<double>(parameters(edited));
  e.seconds =
      steps * (6.0 * macs * of_rank / (kShareOfProduct * core.flops(compute)) + moved / core.bytes + kSecondsPerStep);
  return e;
}

const TrialEstimate& Estimator::operator()(const TrialSpec& spec) {
  // A sampled density makes as many as there are trials.
  constexpr std::size_t kMostRemembered = 4096;
  if (known_.size() >= kMostRemembered) known_.clear();
  const auto [place, is_new] = known_.try_emplace(cost_key(spec));
  if (is_new) place->second = estimate(spec, core_);
  return place->second;
}

void MeasuredRatios::add(const TrialTable& trials, std::size_t at, double estimated, double taken) {
  if (estimated <= 0 || taken <= 0) return;
  seen_[network_of(trials, at)][trials.text(at, "method.name")].push_back(taken / estimated);
  ++size_;
}

double MeasuredRatios::factor(const TrialTable& trials, std::size_t at) const {
  Ratios ratios;
  const auto add = [&](const Ratios& more) { ratios.insert(ratios.end(), more.begin(), more.end()); };
  if (const auto network = seen_.find(network_of(trials, at)); network != seen_.end()) {
    const auto method = network->second.find(trials.text(at, "method.name"));
    if (method != network->second.end()) add(method->second);
    for (const auto& [name, of_method] : network->second) {
      if (method == network->second.end()) add(of_method);
    }
  } else {
    for (const auto& [name, methods] : seen_) {
      for (const auto& [method, of_method] : methods) add(of_method);
    }
  }
  if (ratios.empty()) return 1;
  const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::ranges::nth_element(ratios, middle);
  return *middle;
}

std::function<double(std::size_t)> MeasuredRatios::factors(const TrialTable& trials) const {
  return [this, &trials, known = std::map<std::string, double>()](std::size_t at) mutable {
    const auto [place, is_new] = known.try_emplace(network_of(trials, at) + " " + trials.text(at, "method.name"), 1.0);
    if (is_new) place->second = factor(trials, at);
    return place->second;
  };
}

}  // namespace winnow
