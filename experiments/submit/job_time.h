// How the expected time of trials fits the time limit of jobs. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/submit/site.h"

namespace winnow {

struct ExpectedTrial {
  std::string label;
  double seconds = 0;  // of all its ranks at work
  int shard = 0;
};

class JobTime {
 public:
  // `widest`: ranks of the trial that has most. Error{Site}: it needs more than a job has.
  JobTime(const Site& site, int widest);

  // Of what is left to train: so many that a job does its own in half its time, as far as there are trials for them.
  int good_shards(std::span<const ExpectedTrial> left) const;
  // Seconds of the longest shard in a job, and of all on average.
  struct Load {
    double longest = 0, mean = 0;
  };
  Load load(std::span<const ExpectedTrial> left, int shards) const;
  // What does not fit into one job, a line each.
  std::vector<std::string> warnings(std::span<const ExpectedTrial> left, int shards) const;

 private:
  double usable() const { return static_cast<double>(site_.time_seconds - site_.notice); }

  const Site& site_;
  double at_a_time_ = 1;  // trials that a job trains
};

}  // namespace winnow
