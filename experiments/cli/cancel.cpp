// `winnow cancel`: ends the jobs that winnow submit has recorded in a folder, and no other.
#include <unistd.h>

#include <iostream>
#include <ostream>

#include "core/error.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/submission_json.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/status.h"
#include "experiments/submit/known_jobs.h"
#include "experiments/text.h"

namespace winnow {
namespace {

// Asked where somebody can answer.
bool is_wanted(std::ostream& err, std::size_t jobs) {
  if (::isatty(STDIN_FILENO) == 0) fail(ErrorKind::Usage, "nothing is cancelled without --yes; -n shows what would be");
  err << fmt::format("cancel {}? [y/N] ", counted(jobs, "job")) << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

}  // namespace

void add_cancel_options(VerbOptions& options) {
  options.add_options()("place", boost::program_options::value<std::string>(), "output directory of winnow submit")(
      "yes", "does not ask")("dry-run,n", "only shows what would be cancelled")("json", "one JSON object");
}

int run_cancel(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto given = parse_arguments("cancel", args, out);
  if (!given) return 0;
  const std::filesystem::path place = place_of(*given);
  PosixFiles files;
  check_output_directory(files, place);
  constexpr std::int64_t kAskEvery = 5;  // s
  Slurm slurm;
  const bool dry = given->contains("dry-run"), json = given->contains("json");
  KnownJobs known;
  // Numbers of jobs come again one day; a name that Slurm says with the number is the record's own.
  if (!read_submissions(files, place).empty()) {
    known =
        dry ? look_at_jobs(files, place, slurm, kAskEvery) : settle_jobs(files, place, slurm, kAskEvery, unix_now());
  }
  std::vector<const KnownJob*> active;
  std::vector<std::int64_t> numbers, others;
  const SlurmUser user = this_user();
  for (const KnownJob& job : known.jobs) {
    if (!job.is_active()) continue;
    const SlurmTask& task = job.tasks.front();
    if (task.user != user.id) {
      others.push_back(task.job);
      if (!json) out << fmt::format("job {}  is of {}, who can cancel it\n", task.job, job.submission.user);
      continue;
    }
    active.push_back(&job);
    numbers.push_back(job.tasks.front().job);
  }
  const std::int64_t open = known.uncertain();
  if (!json) {
    for (const KnownJob* job : active) {
      out << fmt::format("job {}  {}  shards {}\n", job->tasks.front().job, job->submission.job_name,
                         shards_text(job->submission));
    }
    if (active.empty() && others.empty())
      out << fmt::format("{}: no job that waits or runs was submitted from here\n", place.string());
  }
  out.flush();
  bool cancelled = false;
  if (!dry && !active.empty() && (given->contains("yes") || is_wanted(err, active.size()))) {
    slurm.cancel(numbers);
    cancelled = true;
  }
  if (json) {
    nlohmann::ordered_json object = {{"schema", "winnow-cancel"}, {"schema_version", "1.1"}, {"cancelled", cancelled}};
    object["jobs"] = numbers;
    object["jobs_of_others"] = others;
    object["uncertain"] = open;
    write_json(out, object);
  } else if (!active.empty()) {
    out << (cancelled ? "cancelled; what is in work is saved, and winnow submit goes on from there\n"
                      : "nothing is cancelled\n");
  }
  if (open == 0) return 0;
  fail(ErrorKind::Unavailable, "{} uncertain: a job of it may still come; winnow reconcile {} asks for it",
       open == 1 ? "a submission is" : "some submissions are", place.string());
}

}  // namespace winnow
