// Submits shards of a sweep as job arrays, so that none is ever submitted twice: each array is on disk as an intent before
// sbatch is asked, and its answer after it. Whatever kills this in between leaves an intent without an answer, which keeps
// others from submitting until it is settled (known_jobs.h). Used from one thread; `files` and `slurm` must outlive it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/submit/index_list.h"
#include "experiments/submit/known_jobs.h"
#include "experiments/submit/site.h"
#include "experiments/submit/slurm.h"

namespace winnow {

struct SubmitRequest {
  std::filesystem::path out;
  std::string sweep, plan, deal = {};  // label, digest of the trials' names, what the shards are of
  int shards = 0;
  std::vector<ShardArray> arrays;
  Site site;
  std::string launch, command;  // as in BatchJob
};

class Submitter {
 public:
  // `now`: Unix seconds.
  Submitter(Files& files, Slurm& slurm, std::function<std::int64_t()> now)
      : files_(files), slurm_(slurm), now_(std::move(now)) {}

  // The record of an array as it will be submitted, and its script.
  Submission draft(const SubmitRequest& request, const ShardArray& array, int number) const;
  std::string script(const SubmitRequest& request, const Submission& submission) const;

  // In the order of the arrays, up to the first that was not submitted: that one is the last, with its reason. `before`: the
  // submissions by which the arrays were chosen. Error{Unavailable} where one of them is uncertain, or where there are more
  // by now.
  std::vector<Submission> submit(const SubmitRequest& request, const KnownJobs& before);

 private:
  Submission submit_one(const SubmitRequest& request, Submission submission);

  Files& files_;
  Slurm& slurm_;
  std::function<std::int64_t()> now_;
};

}  // namespace winnow
