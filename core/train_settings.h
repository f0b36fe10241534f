// The settings of training itself: their schema (keys below "train.") and their typed form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/method.h"
#include "core/settings.h"

namespace winnow {

// Learning rate as a function of the number of updates applied so far. Pure.
class LearningRate {
 public:
  // Keys as in train_schema(); `prefix`: of the keys in an Error{Settings}.
  LearningRate(const Settings& train, const RunLength& length, const std::string& prefix = "train.");
  double at(std::int64_t step) const;

 private:
  double base_, gamma_;
  std::string kind_;
  std::int64_t warmup_, total_, every_ = 0;
  std::vector<std::int64_t> drops_;
};

const Schema& train_schema();  // keys without "train."

// Lengths among `settings` (resolved against the schema, each with its Setting::span) that are too long
// to have an effect in a run of this length, with the reason: "100ep cannot act: of its 500 steps at most 14 fit into the run".
// A span until another length lies in a run of its own that is so long.
std::vector<SettingProblem> idle_lengths(const Schema& schema, const Settings& settings, const RunLength& length);

// Updates of a training run of these settings on a data set with this many batches an epoch.
RunLength run_length(const Settings& train, std::int64_t steps_per_epoch);

}  // namespace winnow
