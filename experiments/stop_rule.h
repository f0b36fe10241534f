// A rule that stops trials of a sweep early: at rungs, numbers of epochs that grow by a factor or in equal steps, some go on and the
// others stay.
// Which ones: experiments/run/rung_table.h. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

inline constexpr const char* kEvalEvery = "train.eval_every";  // epochs between evaluations, by which trials are judged

struct StopRule {
  // Halving decides about a rung when all trials have come to it, Asha about each as it comes; Hyperband is halving in
  // brackets, of which each begins to decide one rung later than the one before. Median lets all go on but those that fare
  // worse than half of what has come (median_stop.h).
  enum class Kind : std::uint8_t { Asha, Halving, Hyperband, Median };
  Kind kind = Kind::Asha;
  std::string metric;       // a column of /metrics/epoch
  std::int64_t min = 1;     // epochs to the first rung
  std::int64_t eta = 3;     // factor between rungs; one of so many goes on; not of Median
  std::int64_t every = 1;   // of Median: epochs between rungs
  std::int64_t trials = 5;  // of Median: nobody stays where fewer have come
  std::vector<std::string> by = {"data.name", "model.name"};  // only trials that agree in these settings compete

  bool least_is_best() const { return metric.ends_with("_loss"); }
  bool is_of_test() const { return metric.starts_with("test_"); }
  bool is_of_validation() const { return metric.starts_with("val_"); }
  std::string text() const;  // "asha: {metric: val_acc, min: 20ep, eta: 3, by: [data.name, model.name]}"
  std::string key() const;   // of its text, for the name of a folder
  // All rungs of a trial of so many epochs, in epochs.
  std::vector<std::int64_t> rungs(std::int64_t epochs) const;
};

// After so many epochs is the first evaluation at a rung or behind it, if the training does not end before.
std::int64_t judged_after(std::int64_t rung, std::int64_t eval_every);

const std::vector<std::string>& stop_kinds();    // "asha", ...: by StopRule::Kind
const std::vector<std::string>& stop_metrics();  // what StopRule::metric may be

// One that came from StopRule as text, for those who are sent it.
std::string to_json(const StopRule& rule);
StopRule stop_rule_of(const std::string& json);

}  // namespace winnow
