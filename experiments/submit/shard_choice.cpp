#include "experiments/submit/shard_choice.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.h"
#include "experiments/results/shard_plan.h"
#include "experiments/run/shard_costs.h"
#include "experiments/submit/index_list.h"
#include "experiments/text.h"

namespace winnow {
namespace {

int widest_of(const TrialTable& trials, const std::vector<ShardChoice::Left>& left) {
  int widest = 1;
  for (const ShardChoice::Left& one : left) widest = std::max(widest, trials.ranks(one.at));
  return widest;
}

}  // namespace

ShardChoice::ShardChoice(Given given, const std::string& plan, std::vector<Left> left)
    : given_(std::move(given)), all_(std::move(left)), time_(given_.site, widest_of(given_.trials, all_)) {
  find_taken(plan);
  deal();
  std::set<int> wanted;
  for (const Left& one : all_) {
    if (!std::ranges::binary_search(taken_, one.trial.shard)) wanted.insert(one.trial.shard);
  }
  wanted_.assign(wanted.begin(), wanted.end());
  make_room();
  for (const Left& one : all_) {
    if (std::ranges::binary_search(wanted_, one.trial.shard)) trials_.push_back(one.trial);
  }
  for (std::string& line : time_.warnings(trials_, shards_)) notes_.push_back(std::move(line));
}

// Jobs at work keep the shards that they were submitted for; with none of them what is left is dealt out anew.
void ShardChoice::find_taken(const std::string& plan) {
  std::set<int> taken;
  for (const KnownJob& job : given_.known.jobs) {
    if (!job.is_visible && job.tasks.empty() && job.submission.plan == plan) refuse_unseen(job.submission);
    if (!job.is_active()) continue;
    const std::int64_t number = job.tasks.front().job;
    if (job.submission.plan != plan) {
      notes_.push_back(fmt::format("job {} trains other trials of sweep {} here", number, job.submission.sweep));
      continue;
    }
    const auto active = job.active_shards();
    taken.insert(active.begin(), active.end());
    shards_ = job.submission.shards;
    deal_ = job.submission.deal;
    notes_.push_back(
        fmt::format("job {} is at work on {}: shards {}", number, job.submission.sweep, index_list(active)));
  }
  taken_.assign(taken.begin(), taken.end());
  if (!taken.empty() && given_.shards && *given_.shards != shards_) {
    fail(ErrorKind::Usage,
         "jobs at work share the same trials out in {} shards, and others of {} would train them twice: leave out "
         "--shards, wait for them, or winnow cancel {}",
         shards_, *given_.shards, given_.out.string());
  }
  if (!taken.empty()) return;
  std::vector<ExpectedTrial> left;
  for (const Left& one : all_) left.push_back(one.trial);
  shards_ = given_.shards.value_or(usual_shards(left));
}

// Whether they still wait or run nobody can tell this user, and they would be there twice.
void ShardChoice::refuse_unseen(const Submission& submission) {
  if (submission.state != Submission::State::Submitted) return;
  const std::string whose = submission.user.empty() ? "another user" : "user " + submission.user;
  if (given_.shows) {
    notes_.push_back(fmt::format("job {} is of {}, whose jobs Slurm does not show you", submission.job, whose));
    return;
  }
  fail(ErrorKind::Unavailable,
       "job {} of {} may still train these, and Slurm does not show you their jobs (PrivateData): who submitted them "
       "can "
       "submit the rest, or take another folder",
       submission.job, whose);
}

int ShardChoice::usual_shards(const std::vector<ExpectedTrial>& left) const {
  const int good = time_.good_shards(left);
  // Not by what Slurm takes right now: the rest is submitted later.
  return static_cast<int>(std::clamp<std::int64_t>(given_.limits.jobs.value_or(good), 1, good));
}

// As the jobs will find it.
void ShardChoice::deal() {
  if (auto dealt = read_shards(given_.files, given_.out, given_.trials, {.shards = shards_, .name = deal_})) {
    plan_ = std::move(*dealt);
  } else {
    plan_ = deal_out(given_.files, given_.out, given_.trials, shards_);
    is_new_ = true;
  }
  for (Left& one : all_) one.trial.shard = plan_.shard_of[one.at];
}

void ShardChoice::write_deal() {
  if (is_new_) write_shards(given_.files, given_.out, given_.trials, {.shards = shards_, .name = deal_}, plan_);
}

void ShardChoice::remove_deal() {
  if (is_new_) forget_deal(given_.files, given_.out, deal_);
}

// Jobs that Slurm takes from this user now.
std::optional<std::int64_t> ShardChoice::room() const {
  if (!given_.limits.jobs) return std::nullopt;
  return std::max<std::int64_t>(*given_.limits.jobs - given_.known.active, 0);
}

void ShardChoice::make_room() {
  const auto most = room();
  if (!most || static_cast<std::int64_t>(wanted_.size()) <= *most) return;
  if (*most == 0) {
    fail(ErrorKind::Unavailable, "Slurm takes {} of you at a time, and there are {}: submit again when some have ended",
         counted(static_cast<std::size_t>(*given_.limits.jobs), "job"), given_.known.active);
  }
  notes_.push_back(fmt::format(
      "Slurm takes {} of you now: {} of {} shards are submitted, the others by the same command when these have ended",
      counted(static_cast<std::size_t>(*most), "more job"), *most, wanted_.size()));
  wanted_.resize(static_cast<std::size_t>(*most));
}

std::int64_t ShardChoice::array_tasks() const {
  std::int64_t tasks = given_.limits.array_tasks.value_or(std::int64_t{1} << 20);
  if (given_.site.array_limit > 0) tasks = std::min(tasks, given_.site.array_limit);
  return std::max<std::int64_t>(tasks, 1);
}

}  // namespace winnow
