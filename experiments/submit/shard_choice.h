// Which shards of a sweep are submitted now: those with something left to train that no job has, as many as Slurm takes. Used
// from one thread; what it is given must outlive it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/results/shard_plan.h"
#include "experiments/submit/job_time.h"
#include "experiments/submit/known_jobs.h"
#include "experiments/submit/site.h"
#include "experiments/trial_table.h"

namespace winnow {

class ShardChoice {
 public:
  struct Left {
    std::size_t at;  // in the sweep
    ExpectedTrial trial;
  };
  struct Given {
    Files& files;
    std::filesystem::path out;
    const TrialTable& trials;
    const Site& site;
    const KnownJobs& known;
    SlurmLimits limits;
    std::optional<int> shards;  // that the user wants
    bool shows = false;         // what would be submitted, and submits nothing
  };
  // Error{Usage}: other shards than those of jobs at work are wanted. Error{Unavailable}: Slurm takes no more jobs.
  ShardChoice(Given given, const std::string& plan, std::vector<Left> left);

  int shards() const { return shards_; }
  const std::vector<int>& wanted() const { return wanted_; }          // ascending; empty: jobs at work have all
  const std::vector<ExpectedTrial>& left() const { return trials_; }  // of the wanted shards
  const std::string& deal_name() const { return deal_; }
  JobTime::Load load() const { return time_.load(trials_, shards_); }
  // For the user, a line each: who is at work, and what does not fit.
  const std::vector<std::string>& notes() const { return notes_; }
  // Of the deal by which the jobs will go; for when nothing can refuse them any more but Slurm.
  void write_deal();
  // What write_deal made, where no job goes by it.
  void remove_deal();
  // Tasks that one array may have.
  std::int64_t array_tasks() const;

 private:
  void find_taken(const std::string& plan);
  void refuse_unseen(const Submission& submission);
  void deal();
  void make_room();
  int usual_shards(const std::vector<ExpectedTrial>& left) const;
  std::optional<std::int64_t> room() const;

  Given given_;
  std::vector<Left> all_;
  JobTime time_;
  int shards_ = 0;
  std::string deal_ = new_token();
  ShardPlan plan_;
  bool is_new_ = false;  // the deal
  std::vector<int> taken_, wanted_;
  std::vector<ExpectedTrial> trials_;
  std::vector<std::string> notes_;
};

}  // namespace winnow
