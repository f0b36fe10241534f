#include "experiments/submit/submitter.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/submit/batch_script.h"

namespace winnow {
namespace {

constexpr std::int64_t kLatestStart = 60;  // s after its intent: what kArrival is made of

std::filesystem::path logs_of(const std::filesystem::path& out) { return Layout(out).submissions() / "logs"; }

std::string this_host() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

// "0-31%8": the share of this array in what may run at once.
std::string array_text(const SubmitRequest& request, const Submission& submission) {
  std::string text = index_list(submission.indices);
  if (request.site.at_once > 0) {
    const auto arrays = static_cast<std::int64_t>(std::max<std::size_t>(request.arrays.size(), 1));
    text += fmt::format("%{}", std::max<std::int64_t>(request.site.at_once / arrays, 1));
  }
  return text;
}

}  // namespace

Submission Submitter::draft(const SubmitRequest& request, const ShardArray& array, int number) const {
  Submission submission;
  submission.number = number;
  submission.job_name = fmt::format("{}-{}", request.sweep, new_token());
  submission.sweep = request.sweep;
  submission.plan = request.plan;
  submission.deal = request.deal;
  submission.shards = request.shards;
  submission.offset = array.offset;
  submission.indices = array.indices;
  submission.time_limit = request.site.time;
  submission.host = this_host();
  const SlurmUser user = this_user();
  submission.user = user.name;
  submission.user_id = user.id;
  submission.process = ::getpid();
  submission.created = now_();
  return submission;
}

std::string Submitter::script(const SubmitRequest& request, const Submission& submission) const {
  return batch_script(request.site, {.name = submission.job_name,
                                     .logs = logs_of(request.out),
                                     .offset = submission.offset,
                                     .array = array_text(request, submission),
                                     .launch = request.launch,
                                     .command = request.command});
}

std::vector<Submission> Submitter::submit(const SubmitRequest& request, const KnownJobs& before) {
  refuse_uncertain(request.out, before);
  int number = before.jobs.empty() ? 0 : before.jobs.back().submission.number;
  std::vector<Submission> all;
  for (const ShardArray& array : request.arrays) {
    all.push_back(submit_one(request, draft(request, array, ++number)));
    if (all.back().state != Submission::State::Submitted) break;
  }
  return all;
}

Submission Submitter::submit_one(const SubmitRequest& request, Submission submission) {
  const std::string text = script(request, submission);
  if (!write_intent(files_, request.out, submission)) {
    fail(ErrorKind::Unavailable, "{}: another winnow submit is at work here", request.out.string());
  }
  const auto path = script_of(request.out, submission.number);
  files_.make_folders(logs_of(request.out));
  files_.replace(path, text);
  // A process that was halted meanwhile may have been given up by others.
  if (now_() - submission.created > kLatestStart) {
    submission.reason = "this process stood still before sbatch was asked";
    return submission;
  }
  const Slurm::Answer answer = slurm_.submit(path, submission.job_name, overriding_variables(request.site));
  submission.reason = answer.said;
  if (answer.kind == Slurm::Answer::Kind::Submitted) {
    submission.state = Submission::State::Submitted;
    submission.job = answer.job;
  } else {
    // What sbatch says need not be what Slurm did.
    try {
      for (const SlurmTask& task : slurm_.queue()) {
        if (task.name != submission.job_name) continue;
        submission.state = Submission::State::Submitted;
        submission.job = task.job;
        submission.reason = "found in Slurm's queue";
      }
      const bool refused = answer.kind == Slurm::Answer::Kind::Refused;
      if (submission.state == Submission::State::Uncertain && refused) submission.state = Submission::State::Refused;
    } catch (const Error&) {  // then it is to be settled later
    }
  }
  if (submission.state != Submission::State::Uncertain) write_answer(files_, request.out, submission);
  return submission;
}

}  // namespace winnow
