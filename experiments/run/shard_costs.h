// How the trials of a sweep are dealt out to jobs that know nothing of each other, by what they are expected to take.
#pragma once

#include <filesystem>

#include "experiments/results/files.h"
#include "experiments/results/shard_plan.h"
#include "experiments/trial_table.h"

namespace winnow {

// Results that are there are no work any more, and correct what the others are expected to take. Looks at each of them.
ShardPlan deal_out(Files& files, const std::filesystem::path& out, const TrialTable& trials, int shards);

// What all jobs of a deal go by: the first that asks deals, under its name.
ShardPlan agreed_shards(Files& files, const std::filesystem::path& out, const TrialTable& trials, const Deal& deal);

}  // namespace winnow
