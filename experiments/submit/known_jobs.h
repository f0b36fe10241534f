// The submissions of a folder, and what Slurm says of them: one question for all, and not more often than a site wants. By
// that an uncertain submission is settled. Plain values; looking writes nothing but when Slurm was asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/submit/slurm.h"
#include "experiments/submit/submission.h"

namespace winnow {

struct KnownJob {
  Submission submission;
  std::vector<SlurmTask> tasks;  // that Slurm still knows
  // Slurm would show this user its tasks, if there were any: it is his own, or jobs are no secret here.
  bool is_visible = true;
  bool is_active() const;                  // some are waiting or running
  std::vector<int> active_shards() const;  // ascending
};

struct KnownJobs {
  std::vector<KnownJob> jobs;  // by number
  std::int64_t active = 0;     // tasks of this user, whoever submitted them
  std::int64_t uncertain() const;
};

// Waits until `ask_every` seconds have passed since Slurm was last asked about this folder. Error{Unavailable}: it does not
// answer.
KnownJobs look_at_jobs(Files& files, const std::filesystem::path& out, Slurm& slurm, std::int64_t ask_every);

// Error{Unavailable} where one of them is uncertain: nothing is submitted beside it.
void refuse_uncertain(const std::filesystem::path& out, const KnownJobs& known);

// What sbatch was asked and never answered may reach Slurm so much later, in seconds, by the clock of any host that Slurm
// answers: sbatch is started within 60 s of the intent and killed after 120; what it sent counts for 300 s more, as long as
// munge lets a credential live; and the clock of who asks is within these 300 s of Slurm's, or munge would refuse him. The
// clocks of two hosts need not agree beyond that.
inline constexpr std::int64_t kArrival = 900;
// And looks up whoever is uncertain: by the job's name in the queue, then in the accounts. What neither has after kArrival was
// never submitted, or is over; until then it stays uncertain, as does what Slurm would not show to this user. Answers are
// recorded.
KnownJobs settle_jobs(Files& files, const std::filesystem::path& out, Slurm& slurm, std::int64_t ask_every,
                      std::int64_t now);

}  // namespace winnow
