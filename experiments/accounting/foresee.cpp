#include "experiments/accounting/foresee.h"

#include <algorithm>
#include <optional>
#include <utility>

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
  // Masks of tensors that became smaller keep their density.
  void resize(std::span<const ParamSpec> before, std::span<const ParamSpec> now) {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const std::int64_t old = before[i].shape.numel(), numel = now[i].shape.numel();
      if (old == numel) continue;
      for (std::int64_t* count : {&tensors_[i].keep, &tensors_[i].train}) *count = *count * numel / old;
      tensors_[i].rewritten = numel;  // no seed gives the values that are left
    }
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

NetworkCount count_of(std::vector<LayerCount> layers, const Model& edited, const EntryCounts& entries,
                      const std::vector<MaskForecast::Code>& codes) {
  NetworkCount count{.layers = std::move(layers), .merged = {}, .leaves = {}};
  measure(count.layers, edited.params, entries);
  for (const LayerCount& layer : count.layers) {
    count.merged.push_back(layer.derived ? foresee_merged(layer, edited.params, entries) : MergedCount{});
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!edited.params[i].retired) count.leaves.push_back(count_leaf(edited.params[i], ParamId(i), entries[i]));
  }
  for (const MaskForecast::Code& code : codes) {
    const std::int64_t kept = entries[static_cast<std::size_t>(code.id)].kept;
    count_own_form(count, code.id, kept, kept * code.bits_each + code.bits_beside);
  }
  return count;
}

// Codes of a derived weight are stored under the name of the parameter behind it.
std::int64_t own_bits_of(const LeafCount& leaf, const NetworkCount& count) {
  if (leaf.bits.own >= 0) return leaf.bits.own;
  for (std::size_t i = 0; i < count.layers.size(); ++i) {
    const std::vector<ParamId>& leaves = count.layers[i].leaves;
    if (!leaves.empty() && leaves.front() == leaf.id && count.merged[i].bits.own >= 0) return count.merged[i].bits.own;
  }
  return -1;
}

std::vector<ForetoldTensor> tensors_of(const Model& network, const NetworkCount& count, const EntryCounts& entries) {
  std::vector<ForetoldTensor> tensors;
  for (const LeafCount& leaf : count.leaves) {
    const ParamSpec& spec = *leaf.spec;
    if (spec.role == ParamRole::Score) continue;  // they choose a mask and are not stored
    const EntryCount& entry = entries[static_cast<std::size_t>(leaf.id)];
    tensors.push_back({.numel = spec.shape.numel(),
                       .rows = spec.shape.rank() >= 2 ? spec.shape[0] : 1,
                       .kept = entry.kept,
                       .live = entry.live,
                       .untouched = entry.untouched,
                       .own_bits = own_bits_of(leaf, count)});
  }
  for (const BufferSpec& buffer : network.buffers) {
    if (!buffer.stored) continue;
    const std::int64_t numel = buffer.shape.numel();
    tensors.push_back({.numel = numel, .kept = numel, .live = numel, .is_buffer = true});
  }
  return tensors;
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
  const double beside = forecast.forwards_beside * dense_macs;  // of a batch, whatever the masks are
  Foreseen result{.summary = {}, .tensors = {}, .train_macs = 3 * dense_macs * scored};

  ForetoldMasks masks(trial, forecast);
  std::optional<Model> smaller;  // from the first removal of channels on
  const auto network = [&]() -> const Model& { return smaller ? *smaller : trial.edited; };
  std::vector<LayerCount> layers = count_layers(network());
  auto removal = forecast.removals.begin();
  const auto remove_until = [&](int phase, std::int64_t step) {
    for (; removal != forecast.removals.end(); ++removal) {
      if (std::pair(removal->phase, removal->step) > std::pair(phase, step)) break;
      const std::vector<ParamSpec> before = network().params;
      if (!smaller) smaller = trial.edited;
      remove_channels(*smaller, removal->groups);
      masks.resize(before, smaller->params);
      layers = count_layers(*smaller);
    }
  };
  for (int index = 0;; ++index) {
    const std::optional<Phase> phase = trial.method.phase(index, trial.length);
    if (!phase) break;
    for (std::int64_t step = phase->first_step; step < phase->last_step;) {
      remove_until(index, step);
      masks.advance(index, step);
      measure(layers, network().params, masks.entries(network().params));
      const std::vector<ParamId> resting = plan.resting_at(step);
      if (!plan.resting.empty()) mark_reversed(layers, network(), resting);
      const double products = macs_of_product_steps(network(), resting);
      const double cost = step_cost(layers).total() + products;
      const double dense_cost = step_cost(layers, true).total() + products;
      std::int64_t until = std::min(masks.next_step(index, phase->last_step), plan.next_resting_change(step));
      if (removal != forecast.removals.end() && removal->phase == index) until = std::min(until, removal->step);
      std::int64_t dense = 0;
      const StepSet& asked = plan.dense_gradients;
      for (std::int64_t at = step; !asked.empty() && at < until; ++at) dense += asked.contains(at) ? 1 : 0;
      const std::int64_t plain = until - step - (forecast.dense_batches_are_extra ? 0 : dense);
      result.train_macs += batch * (static_cast<double>(plain) * cost + static_cast<double>(dense) * dense_cost);
      result.train_macs += batch * static_cast<double>((trial.passes - 1) * (plain + dense)) * cost;
      result.train_macs += batch * static_cast<double>(plain + dense) * beside;
      step = until;
    }
    remove_until(index, phase->last_step);
    masks.advance(index, phase->last_step);
    for (const MaskForecast::Recalibration& one : forecast.recalibrations) {
      if (one.phase != index) continue;
      measure(layers, network().params, masks.entries(network().params));
      result.train_macs +=
          batch * static_cast<double>(one.batches) * (step_cost(layers).forward + macs_of_products(network()));
    }
  }
  const EntryCounts entries = masks.entries(network().params);
  const NetworkCount count = count_of(std::move(layers), network(), entries, forecast.codes);
  result.tensors = tensors_of(network(), count, entries);
  result.summary = summary_of(trial.dense, network(), count);
  result.equal_shares = forecast.equal_shares;
  result.upper_bound = forecast.upper_bound;
  return result;
}

}  // namespace winnow
