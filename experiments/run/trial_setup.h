// From a trial's settings to the objects that train it. Pure: opens no file but the data set's.
#pragma once

#include <memory>
#include <optional>

#include "core/method.h"
#include "distributed/network.h"
#include "experiments/trial.h"

namespace winnow {

Settings train_settings(const TrialSpec& spec);   // keys without "train."
DataShape data_shape(const TrialSpec& spec);      // opens no file
BuildModel model_builder(const TrialSpec& spec);  // without the method's edits
std::unique_ptr<Method> trial_method(const TrialSpec& spec);
std::unique_ptr<Dataset> open_data(const TrialSpec& spec);

// Batch norm normalises by the rows of one rank, so with another number of ranks such a trial is another experiment.
bool depends_on_ranks(const TrialSpec& spec);

// What the schema alone cannot see: the model fits the data, the methods can be composed, the
// density can be reached, the batch can be split. The problem's key is the setting to mend.
std::optional<SettingProblem> check_trial(const TrialSpec& spec);
// What a plan should say of a trial that can be trained: lengths that cannot act in its run, a recipe
// that is known to diverge.
std::vector<SettingProblem> trial_remarks(const TrialSpec& spec);

}  // namespace winnow
