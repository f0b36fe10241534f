#include "tests/results/sample_sweep.h"

#include "experiments/results/failure_file.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/trial_file.h"
#include "tests/results/samples.h"

namespace winnow::test {

void write_sample_sweep(Files& files, const std::filesystem::path& out) {
  std::vector<PlannedTrial> plan;
  const auto add = [&](TrialResult trial) {
    plan.push_back(planned(trial.spec));
    if (trial.outcome == Outcome::Failed) {
      record_failure(files, out, trial.spec, trial.reason);
    } else {
      publish(files, out, trial, kCreated);
    }
  };
  const double dense[] = {0.931, 0.934, 0.932}, rigl[] = {0.921, 0.925, 0.923}, other[] = {0.918, 0.917, 0.922};
  for (int replicate = 0; replicate < 3; ++replicate) {
    add(sample_trial(1, "dense", "1", replicate, dense[replicate]));
    TrialResult trial = sample_trial(2, "rigl", "0.1", replicate, rigl[replicate]);
    trial.spec.settings.set("method.alpha", "0.3");
    add(trial);
    trial = sample_trial(3, "rigl", "0.1", replicate, other[replicate]);
    trial.spec.settings.set("method.alpha", "0.5");
    add(trial);
  }
  add(sample_trial(4, "snip", "0.02", 0, 0.88));
  TrialResult diverged = sample_trial(4, "snip", "0.02", 1, 0.1);
  diverged.outcome = Outcome::Diverged;
  diverged.reason = "loss became non-finite at step 812";
  add(diverged);
  TrialResult failed = sample_trial(4, "snip", "0.02", 2);
  failed.outcome = Outcome::Failed;
  failed.reason = "out of memory";
  add(failed);
  plan.push_back(planned(sample_trial(5, "snip", "0.05", 0).spec));
  write_plan(files, out, plan);
}

}  // namespace winnow::test
