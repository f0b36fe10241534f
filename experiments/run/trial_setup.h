// A trial's settings, read once, and the objects they ask for. Opens no file but the data set's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/method.h"
#include "distributed/network.h"
#include "experiments/data/registry.h"
#include "experiments/trial.h"

namespace winnow {

// The spec must outlive it. Const, so threads may share one.
class TrialSetup {
 public:
  explicit TrialSetup(const TrialSpec& spec);  // throws Error{Settings} for a model or data set that is not known

  const Settings& train() const { return train_; }       // keys without "train."
  const BuildModel& build() const { return build_; }     // without the method's edits
  Model dense() const { return build_(1, DType::F32); }  // for one example
  Model edited(Method& method) const { return edited(method, dense()); }
  Model edited(Method& method, Model dense) const;
  std::unique_ptr<Method> method() const;
  std::unique_ptr<Dataset> open_data() const;
  std::int64_t train_examples() const;  // opens no file
  RunLength length() const;

 private:
  const Settings& settings_;
  Settings train_, data_;
  const DatasetDef& data_set_;
  BuildModel build_;
};

// Batch norm normalises by the rows of one rank, so with another number of ranks such a trial is another experiment.
bool depends_on_ranks(const TrialSpec& spec);

// What the schema alone cannot see: the model fits the data, the methods can be composed, the
// density can be reached, the batch can be split. The problem's key is the setting to mend.
std::optional<SettingProblem> check_trial(const TrialSpec& spec);
// The same for the trials of a sweep, one after the other: one that differs in rates alone from one that passed is not looked at
// again, and what a method says of itself is compared once for those that differ in numbers alone. For one thread.
std::function<std::optional<SettingProblem>(const TrialSpec&)> check_of_sweep();
// Of a trial, all that counts and these checks depend on: its identity without the rates of the optimiser, and what is saved.
std::string cost_key(const TrialSpec& spec);
// What a plan should say of a trial that can be trained: lengths that cannot act in its run, a recipe
// that is known to diverge.
std::vector<SettingProblem> trial_remarks(const TrialSpec& spec);

}  // namespace winnow
