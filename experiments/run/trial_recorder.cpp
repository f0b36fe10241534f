#include "experiments/run/trial_recorder.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/clock.h"
#include "core/train_settings.h"

namespace winnow {
namespace {

template <class T, class Rows, class Get>
Column column(std::string name, const Rows& rows, Get get, std::string unit, std::string description,
              std::string mode = "") {
  std::vector<T> values;
  for (const auto& row : rows) values.push_back(static_cast<T>(get(row)));
  return {std::move(name), std::move(values), std::move(unit), std::move(description), std::move(mode)};
}

}  // namespace

TrialRecorder::TrialRecorder(const TrialSpec& spec, const Model& dense, Model edited, const RunTrialOptions& options,
                             std::function<Wish()> wish)
    : options_(options),
      wish_(std::move(wish)),
      edited_(std::move(edited)),
      layers_(count_layers(edited_)),
      every_(spec.settings.integer("save.metrics.every")),
      batch_(spec.settings.integer("train.batch")),
      dense_macs_(macs_dense(count_layers(dense)) + macs_of_products(dense)),
      teacher_macs_(edited_.teaching ? edited_.teaching->teacher->macs : 0),
      product_macs_(macs_of_product_steps(edited_, {})),
      started_(seconds_now()) {
  for (const ExtraLoss& loss : edited_.losses) losses_.push_back(loss.name);
  sum_ = no_steps();
}

void TrialRecorder::phase_started(const Phase& phase, TrainState& state) {
  // Scoring before the first step of the last run, and all earlier runs, are the cost of the search.
  search_macs_ = macs_;
  progress_.steps = phase.last_step;
  if (steps_ == 0) training_since_ = seconds_now();
  comparable_ = epochs_.size();
  phases_.push_back(phase.name);
  state_ = &state;
  masks_changed(state);
  if (at_start_) std::exchange(at_start_, nullptr)();
}

std::int64_t TrialRecorder::measure_costs() {
  const ParamStore& params = state_->params();
  const EntryCounts entries = count_entries(params);
  measure(layers_, params.specs(), entries);
  if (std::ranges::any_of(layers_, &LayerCount::makes_zeros)) measure_made_zeros(layers_, state_->effective_weights());
  if (std::vector<ParamId> resting = state_->resting(); resting != resting_) {
    resting_ = std::move(resting);
    note_resting();
  }
  const StepCost cost = step_cost(layers_);
  macs_now_ = {cost.total() + product_macs_, step_cost(layers_, true).total() + product_macs_,
               cost.forward + macs_of_products(edited_)};
  std::int64_t kept = 0;
  for (const ParamId id : state_->prunable()) kept += entries[static_cast<std::size_t>(id)].kept;
  return kept;
}

void TrialRecorder::note_resting() {
  mark_reversed(layers_, edited_, resting_);
  product_macs_ = macs_of_product_steps(edited_, resting_);
}

void TrialRecorder::masks_changed(TrainState& state) {
  state_ = &state;
  measure_costs();
  ever_trained_.resize(state.params().size());
  std::int64_t kept = 0, dim = 0;
  for (const ParamId id : state.prunable()) {
    const auto keep = state.params().mask(id, MaskKind::Keep), train = state.params().mask(id, MaskKind::Trainable);
    auto& ever = ever_trained_[static_cast<std::size_t>(id)];
    ever.resize(state.params().weight(id).size(), 0);
    for (std::size_t i = 0; i < ever.size(); ++i) {
      if (!keep.empty() && keep[i] == 0) continue;
      ++kept;
      if (!train.empty() && train[i] == 0) continue;
      ++dim;
      dim_union_ += ever[i] == 0 ? 1 : 0;
      ever[i] = 1;
    }
  }
  dim_max_ = std::max(dim_max_, dim);
  if (kept_ != kept || live_ != dim) comparable_ = epochs_.size();
  kept_ = kept;
  live_ = dim;
}

void TrialRecorder::weights_replaced(TrainState& state) {
  state_ = &state;
  comparable_ = epochs_.size();
}

void TrialRecorder::network_changed(const Model& now, const ChannelCut& cut) {
  edited_ = now;
  layers_ = count_layers(edited_);
  note_resting();
  for (std::size_t p = 0; p < cut.params.size() && p < ever_trained_.size(); ++p) {
    if (cut.params[p].all() || ever_trained_[p].empty()) continue;
    std::vector<char> left;
    for (const std::int64_t place : cut.params[p].places()) {
      left.push_back(ever_trained_[p][static_cast<std::size_t>(place)]);
    }
    ever_trained_[p] = std::move(left);
  }
}

void TrialRecorder::resting_changed(TrainState& state) {
  state_ = &state;
  measure_costs();
  macs_of_step_ = macs_now_;  // the step has begun
}

void TrialRecorder::step_started() { macs_of_step_ = macs_now_; }

void TrialRecorder::step_done(const StepReport& report) {
  const double last = report.dense_gradients ? macs_of_step_.dense_gradients : macs_of_step_.plain;
  macs_ += static_cast<double>(batch_) * (last + (report.passes - 1) * macs_of_step_.plain + teacher_macs_);
  steps_ += report.updated ? 1 : 0;
  sum_.loss += report.loss;
  sum_.accuracy += report.accuracy;
  for (std::size_t i = 0; i < report.losses.size(); ++i) sum_.losses[i] += report.losses[i];
  if (++in_sum_ == every_) {
    StepReport row = report;
    row.loss = sum_.loss / static_cast<double>(in_sum_);
    row.accuracy = sum_.accuracy / static_cast<double>(in_sum_);
    row.losses = sum_.losses;
    for (double& loss : row.losses) loss /= static_cast<double>(in_sum_);
    rows_.push_back(row);
    sum_ = no_steps();
    in_sum_ = 0;
  }
  progress_.images_per_second = images_per_second(seconds_now() - training_since_ - eval_seconds_);
  progress_.step = report.step;
  progress_.train_loss = report.loss;
  if (options_.progress) options_.progress(progress_);
}

void TrialRecorder::epoch_done(const EpochReport& report) {
  epochs_.push_back(report);
  epochs_.back().losses.resize(losses_.size());
  kept_at_.push_back(measure_costs());  // weights that training set to zero without a mask are seen here
  train_seconds_ += report.train_seconds;
  eval_seconds_ += report.eval_seconds;
  progress_.epoch = report.epoch;
  progress_.test_accuracy = report.test.accuracy;
  if (options_.progress) options_.progress(progress_);
}

void TrialRecorder::event(std::int64_t step, std::string_view what, std::string_view layer, double value) {
  events_.push_back({step, std::string(what), std::string(layer), value});
}

void TrialRecorder::probed(std::int64_t examples) { macs_ += 3.0 * dense_macs_ * static_cast<double>(examples); }

void TrialRecorder::recalibrated(std::int64_t examples) { macs_ += macs_now_.forward * static_cast<double>(examples); }

double TrialRecorder::images_per_second(double seconds) const {
  return seconds > 0 ? static_cast<double>(steps_ * batch_) / seconds : 0;
}

void TrialRecorder::working() {
  if (options_.progress) options_.progress(progress_);
}

// The extra losses of each row, where there are any.
void TrialRecorder::add_loss_columns(Table& table, const auto& rows) const {
  for (std::size_t i = 0; i < losses_.size(); ++i) {
    table.columns.push_back(column<double>(
        "loss." + losses_[i], rows, [i](const auto& row) { return row.losses[i]; }, "",
        "a term of the training loss beside train_loss, as it is weighed; mean since the last row", "min"));
  }
}

void TrialRecorder::fill_tables(TrialResult& result) const {
  const auto epoch = [](const EpochReport& r) { return r.epoch; };
  result.epochs.columns = {
      column<double>("epoch", epochs_, epoch, "epoch", "epochs trained"),
      column<std::int64_t>(
          "step", epochs_, [](auto& r) { return r.step; }, "", "optimiser updates applied"),
      column<std::int64_t>(
          "phase", epochs_, [](auto& r) { return r.phase; }, "", "training run of the trial, from 0"),
      column<double>(
          "train_loss", epochs_, [](auto& r) { return r.train_loss; }, "nat", "mean since the last row", "min"),
      column<double>(
          "train_acc", epochs_, [](auto& r) { return r.train_accuracy; }, "1", "mean since the last row", "max"),
      column<double>(
          "val_loss", epochs_, [](auto& r) { return r.validation.loss; }, "nat", "validation cross-entropy", "min"),
      column<double>(
          "val_acc", epochs_, [](auto& r) { return r.validation.accuracy; }, "1", "validation top-1", "max"),
      column<double>(
          "test_loss", epochs_, [](auto& r) { return r.test.loss; }, "nat", "test cross-entropy", "min"),
      column<double>(
          "test_acc", epochs_, [](auto& r) { return r.test.accuracy; }, "1", "test top-1", "max"),
      column<double>(
          "lr", epochs_, [](auto& r) { return r.learning_rate; }, "", "learning rate of the last update"),
  };
  add_loss_columns(result.epochs, epochs_);
  result.steps.columns = {
      column<std::int64_t>(
          "step", rows_, [](auto& r) { return r.step; }, "", "optimiser updates applied"),
      column<std::int64_t>(
          "phase", rows_, [](auto& r) { return r.phase; }, "", "training run of the trial, from 0"),
      column<double>(
          "train_loss", rows_, [](auto& r) { return r.loss; }, "nat", "mean since the last row", "min"),
      column<double>(
          "train_acc", rows_, [](auto& r) { return r.accuracy; }, "1", "mean since the last row", "max"),
      column<double>(
          "lr", rows_, [](auto& r) { return r.learning_rate; }, "", "learning rate"),
  };
  add_loss_columns(result.steps, rows_);
  result.events.columns = {
      column<std::int64_t>(
          "step", events_, [](auto& e) { return e.step; }, "", "optimiser updates applied"),
      {"layer", std::vector<std::string>{}, "", "tensor or layer", ""},
      {"what", std::vector<std::string>{}, "", "kind of event", ""},
      column<double>(
          "value", events_, [](auto& e) { return e.value; }, "", ""),
  };
  for (const Event& e : events_) {
    std::get<std::vector<std::string>>(result.events.columns[1].values).push_back(e.layer);
    std::get<std::vector<std::string>>(result.events.columns[2].values).push_back(e.what);
  }
}

// Of the network that the trial ends with: a denser one, of an earlier level or before the last
// weights were pruned or became zero without a mask, must not lend its accuracy. Single zeros can come and go in any
// network: it is denser with more than a thousandth more.
void TrialRecorder::fill_accuracies(std::map<std::string, double>& summary) const {
  if (epochs_.empty()) return;
  const EpochReport& last = epochs_.back();
  summary["final.test_acc"] = last.test.accuracy;
  summary["final.test_top5"] = last.test.top5;
  summary["final.test_loss"] = last.test.loss;
  const auto trained = std::find_if(epochs_.rbegin(), epochs_.rend(), [](const EpochReport& r) { return r.trained(); });
  if (trained != epochs_.rend()) summary["final.train_loss"] = trained->train_loss;
  std::vector<EpochReport> run;
  for (std::size_t row = std::min(comparable_, epochs_.size() - 1); row < epochs_.size(); ++row) {
    if (kept_at_[row] - kept_at_.back() <= kept_at_.back() / 1000) run.push_back(epochs_[row]);
  }
  const auto best = std::ranges::max_element(run, {}, [](const EpochReport& r) { return r.test.accuracy; });
  summary["best.test_acc"] = best->test.accuracy;
  summary["best.epoch"] = best->epoch;
  if (last.validation.examples > 0) {
    summary["final.val_acc"] = last.validation.accuracy;
    const auto selected = std::ranges::max_element(run, {}, [](const EpochReport& r) { return r.validation.accuracy; });
    summary["selected.test_acc"] = selected->test.accuracy;
    summary["selected.epoch"] = selected->epoch;
  }
}

bool TrialRecorder::has_reached(std::int64_t epochs) const {
  return std::ranges::any_of(epochs_,
                             [epochs](const EpochReport& r) { return r.epoch >= static_cast<double>(epochs); });
}

double TrialRecorder::seconds_so_far() const { return seconds_before_ + seconds_now() - started_; }

void TrialRecorder::finish(TrialResult& result, const RunLength& length) const {
  fill_tables(result);
  auto& summary = result.summary;
  fill_accuracies(summary);
  const double planned = 3.0 * dense_macs_ * static_cast<double>(length.steps * batch_);
  summary["flops.train"] = 2.0 * macs_;
  summary["flops.train_ratio"] = macs_ / planned;
  summary["search.flops_ratio"] = search_macs_ / planned;
  summary["dim.max"] = static_cast<double>(dim_max_);
  summary["dim.union"] = static_cast<double>(dim_union_);
  summary["steps"] = static_cast<double>(steps_);
  summary["seconds.train"] = train_seconds_;
  summary["seconds.eval"] = eval_seconds_;
  summary["seconds.total"] = seconds_so_far();
  if (train_seconds_ > 0) summary["images_per_second"] = images_per_second(train_seconds_);
}

}  // namespace winnow
