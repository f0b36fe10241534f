// shards/*.tsv: which of n jobs trains which trial of a plan, and the seconds that this was dealt out by. The first job that starts
// makes it, the others read it, so that all go by the same one however their costs would come out. Plain values.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/trial_table.h"

namespace winnow {

// Parts of a sweep for jobs that know nothing of each other.
inline constexpr int kMostShards = 100'000;

struct ShardPlan {
  std::vector<int> shard_of;  // by trial
  std::vector<double> costs;  // by trial: expected seconds, of one rank, of what was to be done; 0: it was done
};

// What jobs call the deal that they go by: the shards of a plan are dealt once under each name, without what is done by then. Its
// file is shards/deal-<name>.tsv; without a name shards/<plan>.<n>.tsv, which only jobs of the same trials find.
struct Deal {
  int shards = 1;
  std::string name = {};
};
bool is_deal_name(std::string_view name);  // 1 to 64 letters, digits, - and _

// That of these trials, whatever their order; nothing: there is none. Error{Input} for a damaged one; Error{Settings} for one of
// other trials or of another number of shards, saying what changed since it was made.
std::optional<ShardPlan> read_shards(Files& files, const std::filesystem::path& out, const TrialTable& trials,
                                     const Deal& deal);
// False: another process was faster, and its plan is there.
bool write_shards(Files& files, const std::filesystem::path& out, const TrialTable& trials, const Deal& deal,
                  const ShardPlan& plan);
// Error{Input} if a file of shards/ is not what was written, or has another's name.
void check_shards(Files& files, const std::filesystem::path& path);
void forget_deal(Files& files, const std::filesystem::path& out, const std::string& name);
// Removes all that were dealt of a plan, by the digest that its file is named by.
void forget_shards(Files& files, const std::filesystem::path& out, const std::string& plan);

}  // namespace winnow
