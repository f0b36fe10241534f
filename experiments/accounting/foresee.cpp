#include "experiments/accounting/foresee.h"

#include <algorithm>

#include "experiments/accounting/network_count.h"

namespace winnow {
namespace {

// The masks of a trial as training goes on, as far as counts say.
class ForetoldMasks {
 public:
  ForetoldMasks(const TrialOutline& trial, const MaskForecast& forecast) : forecast_(forecast) {
    for (const ParamSpec& spec : trial.edited.params) {
      const std::int64_t numel = spec.shape.numel();
      tensors_.push_back({numel, numel, trial.start_file ? numel : 0});
    }
    for (const auto& [id, count] : forecast.rewritten) tensors_[static_cast<std::size_t>(id)].rewritten = count;
  }

  // Makes the changes of `phase` up to and including `step`. Any?
  bool advance(int phase, std::int64_t step) {
    const std::size_t before = next_;
    for (; next_ < forecast_.changes.size(); ++next_) {
      const MaskForecast::Change& change = forecast_.changes[next_];
      if (std::pair(change.phase, change.step) > std::pair(phase, step)) break;
      for (const auto& [id, count] : change.ones) {
        Tensor& tensor = tensors_[static_cast<std::size_t>(id)];
        (change.kind == MaskKind::Keep ? tensor.keep : tensor.train) = count;
      }
    }
    return next_ != before;
  }
  // The next change of `phase`, or `last` if that comes first.
  std::int64_t next_step(int phase, std::int64_t last) const {
    if (next_ == forecast_.changes.size() || forecast_.changes[next_].phase != phase) return last;
    return std::min(forecast_.changes[next_].step, last);
  }

  EntryCounts entries(std::span<const ParamSpec> specs) const {
    EntryCounts counts;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const Tensor& tensor = tensors_[i];
      EntryCount count{tensor.keep, std::min(tensor.keep, tensor.train), 0};
      const std::int64_t frozen = is_trained(specs[i]) ? count.kept - count.live : count.kept;
      count.untouched = std::max<std::int64_t>(0, frozen - tensor.rewritten);
      counts.push_back(count);
    }
    return counts;
  }

 private:
  struct Tensor {
    std::int64_t keep, train, rewritten;
  };
  const MaskForecast& forecast_;
  std::vector<Tensor> tensors_;  // by ParamId
  std::size_t next_ = 0;         // change
};

NetworkCount count_of(const Model& edited, const EntryCounts& entries) {
  NetworkCount count{.layers = count_layers(edited), .merged = {}, .leaves = {}};
  measure(count.layers, edited.params, entries);
  for (const LayerCount& layer : count.layers) {
    count.merged.push_back(layer.derived ? foresee_merged(layer, edited.params, entries) : MergedCount{});
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!edited.params[i].retired) count.leaves.push_back(count_leaf(edited.params[i], ParamId(i), entries[i]));
  }
  return count;
}

}  // namespace

Foreseen foresee(const TrialOutline& trial) {
  MaskForecast forecast;
  trial.method.forecast(forecast, trial.edited, trial.length);
  EventPlan plan;
  trial.method.schedule(plan, trial.length);
  const auto batch = static_cast<double>(trial.batch);
  const auto scored = static_cast<double>(forecast.scoring_batches * trial.batch + forecast.scoring_images);
  const double dense_macs = macs_dense(count_layers(trial.dense)) + macs_of_products(trial.dense);
  double products = macs_of_product_steps(trial.edited, {});
  Foreseen result{.summary = {}, .train_macs = 3 * dense_macs * scored};

  ForetoldMasks masks(trial, forecast);
  std::vector<LayerCount> layers = count_layers(trial.edited);
  for (int index = 0;; ++index) {
    const std::optional<Phase> phase = trial.method.phase(index, trial.length);
    if (!phase) break;
    for (std::int64_t step = phase->first_step; step < phase->last_step;) {
      masks.advance(index, step);
      measure(layers, trial.edited.params, masks.entries(trial.edited.params));
      if (!plan.resting.empty()) {
        const std::vector<ParamId> resting = plan.resting_at(step);
        mark_reversed(layers, trial.edited, resting);
        products = macs_of_product_steps(trial.edited, resting);
      }
      const double cost = step_cost(layers).total() + products;
      const double dense_cost = step_cost(layers, true).total() + products;
      const std::int64_t until = std::min(masks.next_step(index, phase->last_step), plan.next_resting_change(step));
      std::int64_t dense = 0;
      const StepSet& asked = plan.dense_gradients;
      for (std::int64_t at = step; !asked.empty() && at < until; ++at) dense += asked.contains(at) ? 1 : 0;
      const std::int64_t plain = until - step - (forecast.dense_batches_are_extra ? 0 : dense);
      result.train_macs += batch * (static_cast<double>(plain) * cost + static_cast<double>(dense) * dense_cost);
      result.train_macs += batch * static_cast<double>((trial.passes - 1) * (plain + dense)) * cost;
      step = until;
    }
    masks.advance(index, phase->last_step);
  }
  const NetworkCount count = count_of(trial.edited, masks.entries(trial.edited.params));
  result.summary = summary_of(trial.dense, trial.edited, count);
  result.upper_bound = forecast.upper_bound;
  return result;
}

}  // namespace winnow
