// `winnow reconcile`: what became of submissions that sbatch gave no answer to, by asking Slurm.
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

// "2 waiting, 1 running, 5 over"; nothing for one of which Slurm knows no task.
std::string tasks_text(const KnownJob& job) {
  std::size_t waiting = 0, running = 0, over = 0;
  for (const SlurmTask& task : job.tasks) ++(task.is_over() ? over : task.state == "PENDING" ? waiting : running);
  return job.tasks.empty() ? "over" : fmt::format("{} waiting, {} running, {} over", waiting, running, over);
}

}  // namespace

void add_reconcile_options(VerbOptions& options) {
  options.add_options()("place", boost::program_options::value<std::string>(), "output directory of winnow submit")(
      "json", "one JSON object");
}

int run_reconcile(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("reconcile", args, out);
  if (!given) return 0;
  const std::filesystem::path place = place_of(*given);
  PosixFiles files;
  check_output_directory(files, place);
  constexpr std::int64_t kAskEvery = 5;  // s
  Slurm slurm;
  KnownJobs known;
  if (!read_submissions(files, place).empty()) known = settle_jobs(files, place, slurm, kAskEvery, unix_now());
  const std::int64_t open = known.uncertain();
  if (given->contains("json")) {
    nlohmann::ordered_json json = {{"schema", "winnow-reconcile"}, {"schema_version", "1.0"}, {"uncertain", open}};
    json["submissions"] = nlohmann::ordered_json::array();
    for (const KnownJob& job : known.jobs) {
      auto one = submission_json(job.submission);
      one["tasks"] = nlohmann::ordered_json::array();
      for (const SlurmTask& task : job.tasks) {
        one["tasks"].push_back({{"shard", job.submission.shard(task.index)}, {"state", task.state}});
      }
      json["submissions"].push_back(std::move(one));
    }
    write_json(out, json);
  } else {
    for (const KnownJob& job : known.jobs) {
      const Submission& one = job.submission;
      out << fmt::format(
          "{:>4}  {:<9}  shards {} of {}  {}\n", one.number, submission_state(one.state), shards_text(one), one.shards,
          one.state == Submission::State::Submitted ? fmt::format("job {}: {}", one.job, tasks_text(job)) : one.reason);
    }
    if (known.jobs.empty()) out << fmt::format("{}: nothing was submitted from here\n", place.string());
  }
  // To be asked again: a script may wait for it.
  return open > 0 ? static_cast<int>(ErrorKind::Unavailable) : 0;
}

}  // namespace winnow
