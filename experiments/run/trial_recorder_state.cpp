// What a TrialRecorder keeps over a stop: all that finish() reads.
#include <algorithm>
#include <span>

#include "core/clock.h"
#include "core/error.h"
#include "experiments/run/trial_recorder.h"

namespace winnow {
namespace {

// Every number of a row, in the order of its saved form.
template <class Each>
void each_number(EpochReport& row, Each each) {
  each(row.step), each(row.epoch), each(row.phase);
  each(row.train_loss), each(row.train_accuracy), each(row.learning_rate);
  for (Evaluation* of : {&row.validation, &row.test}) {
    each(of->loss), each(of->accuracy), each(of->top5), each(of->examples);
  }
  each(row.train_seconds), each(row.eval_seconds);
  for (double& loss : row.losses) each(loss);
}
template <class Each>
void each_number(StepReport& row, Each each) {
  each(row.step), each(row.loss), each(row.accuracy), each(row.learning_rate);
  each(row.updated), each(row.diverged), each(row.dense_gradients), each(row.phase);
  for (double& loss : row.losses) each(loss);
}

// With as many extra losses.
template <class Row>
std::int64_t numbers_of(std::size_t losses) {
  Row row;
  row.losses.resize(losses);
  std::int64_t count = 0;
  each_number(row, [&count](auto&) { ++count; });
  return count;
}

// As f64, which holds every count of steps.
template <class Row>
void save_rows(StateWriter& out, std::string_view key, std::vector<Row> rows, std::size_t losses) {
  std::vector<double> numbers;
  for (Row& row : rows) each_number(row, [&](auto& number) { numbers.push_back(static_cast<double>(number)); });
  out.put_values<double>(key, numbers, {static_cast<std::int64_t>(rows.size()), numbers_of<Row>(losses)});
}

template <class Row>
void load_rows(StateReader& in, std::string_view key, std::vector<Row>& rows, std::size_t losses) {
  const Shape shape = in.get(key).shape;
  std::vector<double> numbers(static_cast<std::size_t>(shape.numel()));
  in.get_values(key, std::span(numbers), {shape.numel() / numbers_of<Row>(losses), numbers_of<Row>(losses)});
  rows.clear();
  for (auto at = numbers.begin(); at != numbers.end();) {
    rows.emplace_back().losses.resize(losses);
    each_number(rows.back(),
                [&at](auto& number) { number = static_cast<std::remove_reference_t<decltype(number)>>(*at++); });
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

void TrialRecorder::save(StateWriter& out) const {
  out.put_value("steps", steps_);
  out.put_value("last_step", progress_.steps);
  std::string phases;
  for (const std::string& name : phases_) phases += name + "\n";
  out.put_text("phases", phases);
  out.put_values<double>(
      "macs", std::vector{macs_now_.plain, macs_now_.dense_gradients, macs_now_.forward, macs_, search_macs_});
  out.put_values<std::int64_t>("dimensions", std::vector{dim_max_, dim_union_, kept_, live_});
  out.put_values<double>("seconds", std::vector{train_seconds_, eval_seconds_, seconds_so_far()});
  out.put_value("ever_trained", static_cast<std::int64_t>(ever_trained_.size()));
  for (std::size_t p = 0; p < ever_trained_.size(); ++p) {
    const std::vector<std::uint8_t> ever(ever_trained_[p].begin(), ever_trained_[p].end());
    out.put_values<std::uint8_t>(fmt::format("ever_trained/{}", p), ever);
  }
  save_rows(out, "epochs", epochs_, losses_.size());
  out.put_values<std::int64_t>("epochs/kept", kept_at_);
  out.put_value("comparable", static_cast<std::int64_t>(comparable_));
  save_rows(out, "rows", rows_, losses_.size());
  save_rows(out, "sum", std::vector{sum_}, losses_.size());
  out.put_value("in_sum", in_sum_);
  std::vector<std::int64_t> steps;
  std::vector<double> values;
  std::string names;
  for (const Event& event : events_) {
    steps.push_back(event.step);
    values.push_back(event.value);
    names += event.what + "\n" + event.layer + "\n";
  }
  out.put_values<std::int64_t>("events/step", steps);
  out.put_values<double>("events/value", values);
  out.put_text("events/names", names);
}

void TrialRecorder::load(StateReader& in, TrainState& state) {
  state_ = &state;
  at_start_ = nullptr;  // was called before the stop
  steps_ = in.get_value<std::int64_t>("steps");
  progress_.steps = in.get_value<std::int64_t>("last_step");
  phases_ = lines_of(in.get_text("phases"));
  double macs[5], seconds[3];
  in.get_values("macs", std::span<double>(macs));
  macs_now_ = {macs[0], macs[1], macs[2]}, macs_ = macs[3], search_macs_ = macs[4];
  std::int64_t dimensions[4];
  in.get_values("dimensions", std::span<std::int64_t>(dimensions));
  dim_max_ = dimensions[0], dim_union_ = dimensions[1], kept_ = dimensions[2], live_ = dimensions[3];
  in.get_values("seconds", std::span<double>(seconds));
  train_seconds_ = seconds[0], eval_seconds_ = seconds[1], seconds_before_ = seconds[2];
  training_since_ = seconds_now() - seconds[0] - seconds[1];
  ever_trained_.resize(static_cast<std::size_t>(in.get_value<std::int64_t>("ever_trained")));
  for (std::size_t p = 0; p < ever_trained_.size(); ++p) {
    const auto ever = in.get_list<std::uint8_t>(fmt::format("ever_trained/{}", p));
    ever_trained_[p].assign(ever.begin(), ever.end());
  }
  load_rows(in, "epochs", epochs_, losses_.size());
  kept_at_ = in.get_list<std::int64_t>("epochs/kept");
  comparable_ = static_cast<std::size_t>(in.get_value<std::int64_t>("comparable"));
  load_rows(in, "rows", rows_, losses_.size());
  std::vector<StepReport> sum;
  load_rows(in, "sum", sum, losses_.size());
  if (sum.size() != 1) fail(ErrorKind::Input, "saved state 'sum' has {} rows, expected is one", sum.size());
  sum_ = sum.front();
  in_sum_ = in.get_value<std::int64_t>("in_sum");
  const auto steps = in.get_list<std::int64_t>("events/step");
  const auto values = in.get_list<double>("events/value");
  const std::vector<std::string> names = lines_of(in.get_text("events/names"));
  if (values.size() != steps.size() || names.size() != 2 * steps.size()) {
    fail(ErrorKind::Input, "saved events are {} steps, {} values and {} names", steps.size(), values.size(),
         names.size());
  }
  events_.clear();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    events_.push_back({steps[i], names[2 * i], names[2 * i + 1], values[i]});
  }
}

}  // namespace winnow
