#include "experiments/submit/known_jobs.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "core/error.h"
#include "experiments/results/layout.h"

namespace winnow {
namespace {

// By the file's own clock: several users of one folder are on several machines.
void keep_pace(Files& files, const std::filesystem::path& out, std::int64_t ask_every) {
  if (ask_every == 0) return;
  const auto asked = Layout(out).submissions() / "asked";
  if (const auto before = files.stamp(asked)) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto since = now - std::chrono::nanoseconds(before->modified);
    const auto wait = std::chrono::seconds(ask_every) - since;
    // A clock that is ahead must not make anybody wait longer.
    if (since.count() >= 0 && wait.count() > 0) std::this_thread::sleep_for(wait);
  }
  files.replace(asked, std::string_view(), {.read_only = false, .synced = false});
}

bool is_of(const Submission& submission, const SlurmUser& user) { return submission.user_id == user.id; }

std::string owner_of(const Submission& submission) {
  return submission.user.empty() ? "another user" : "user " + submission.user;
}

KnownJobs known_jobs_of(std::vector<Submission> submissions, const std::vector<SlurmTask>& queue,
                        const SlurmUser& user) {
  KnownJobs known;
  std::map<std::string, std::size_t> by_name;
  for (Submission& submission : submissions) {
    by_name.emplace(submission.job_name, known.jobs.size());
    known.jobs.push_back({.submission = std::move(submission), .tasks = {}, .is_visible = true});
  }
  for (const SlurmTask& task : queue) {
    known.active += task.is_over() || task.user != user.id ? 0 : 1;
    if (const auto found = by_name.find(task.name); found != by_name.end()) {
      known.jobs[found->second].tasks.push_back(task);
    }
  }
  return known;
}

void settle_one(Files& files, const std::filesystem::path& out, Submission& submission, Submission::State state,
                std::int64_t job, std::string reason) {
  submission.state = state;
  submission.job = job;
  submission.reason = std::move(reason);
  write_answer(files, out, submission);
}

}  // namespace

bool KnownJob::is_active() const {
  return std::ranges::any_of(tasks, [](const SlurmTask& task) { return !task.is_over(); });
}

std::vector<int> KnownJob::active_shards() const {
  std::set<int> shards;  // a task that was requeued may be told of twice
  for (const SlurmTask& task : tasks) {
    if (!task.is_over()) shards.insert(submission.shard(task.index));
  }
  return {shards.begin(), shards.end()};
}

std::int64_t KnownJobs::uncertain() const {
  return std::ranges::count(jobs, Submission::State::Uncertain,
                            [](const KnownJob& job) { return job.submission.state; });
}

KnownJobs look_at_jobs(Files& files, const std::filesystem::path& out, Slurm& slurm, std::int64_t ask_every) {
  std::vector<Submission> submissions = read_submissions(files, out);
  if (!submissions.empty()) keep_pace(files, out, ask_every);
  const SlurmUser user = this_user();
  const bool all_own = std::ranges::all_of(submissions, [&](const Submission& one) { return is_of(one, user); });
  const auto whose = all_own ? Slurm::Whose::Own : Slurm::Whose::Everyones;
  KnownJobs known = known_jobs_of(std::move(submissions), slurm.queue(whose), user);
  if (all_own || slurm.shows_others()) return known;
  for (KnownJob& job : known.jobs) job.is_visible = is_of(job.submission, user);
  return known;
}

void refuse_uncertain(const std::filesystem::path& out, const KnownJobs& known) {
  for (const KnownJob& job : known.jobs) {
    if (job.submission.state != Submission::State::Uncertain) continue;
    fail(ErrorKind::Unavailable,
         "{}: submission {} is uncertain: its sbatch gave no answer; winnow reconcile {} asks Slurm what became of it",
         out.string(), job.submission.number, out.string());
  }
}

KnownJobs settle_jobs(Files& files, const std::filesystem::path& out, Slurm& slurm, std::int64_t ask_every,
                      std::int64_t now) {
  KnownJobs known = look_at_jobs(files, out, slurm, ask_every);
  std::vector<KnownJob*> open;
  for (KnownJob& job : known.jobs) {
    if (job.submission.state != Submission::State::Uncertain) continue;
    if (job.tasks.empty()) {
      open.push_back(&job);
    } else {
      settle_one(files, out, job.submission, Submission::State::Submitted, job.tasks.front().job,
                 "found in Slurm's queue");
    }
  }
  if (open.empty()) return known;
  constexpr std::int64_t kClocks = 600;  // s by which those of two hosts that Slurm answers may differ
  std::int64_t since = now;
  for (const KnownJob* job : open) since = std::min(since, job->submission.created);
  const SlurmUser user = this_user();
  const bool all_own = std::ranges::all_of(open, [&](const KnownJob* job) { return is_of(job->submission, user); });
  const auto accounts = slurm.accounted(since - kClocks, all_own ? Slurm::Whose::Own : Slurm::Whose::Everyones);
  for (KnownJob* job : open) {
    Submission& submission = job->submission;
    const SlurmTask* found = nullptr;
    for (std::size_t i = 0; accounts && i < accounts->size(); ++i) {
      if ((*accounts)[i].name == submission.job_name) found = &(*accounts)[i];
    }
    if (found != nullptr) {
      settle_one(files, out, submission, Submission::State::Submitted, found->job, "found in Slurm's accounts");
    } else if (!job->is_visible) {
      submission.reason =
          fmt::format("it is of {}, whose jobs Slurm does not show you: only they can settle it", owner_of(submission));
    } else if (submission.created - now > kClocks) {
      submission.reason =
          fmt::format("the clock of {} was {} s ahead of that of this host: set right what is wrong first",
                      submission.host, submission.created - now);
    } else if (now - submission.created >= kArrival) {
      settle_one(
          files, out, submission, Submission::State::Absent, 0,
          accounts ? "Slurm never had it" : "Slurm does not have it, and keeps no accounts: it never came, or is over");
    } else {
      submission.reason = fmt::format("it may still be on its way; ask again in {} s",
                                      kArrival - std::max<std::int64_t>(now - submission.created, 0));
    }
  }
  return known;
}

}  // namespace winnow
