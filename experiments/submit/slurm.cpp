#include "experiments/submit/slurm.h"

#include <fmt/chrono.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <string_view>

#include "core/error.h"
#include "experiments/submit/program.h"

namespace winnow {
namespace {

using Words = std::vector<std::string>;

// Words of Slurm about a talk that broke off: what was asked for may have been done all the same.
constexpr std::array kBrokenTalk = {"timed out",
                                    "Socket",
                                    "socket",
                                    "Unable to contact",
                                    "Zero Bytes",
                                    "ommunication",
                                    "Message receive failure",
                                    "Connection ",
                                    "connect",
                                    "endpoint",
                                    "Unexpected message",
                                    "Header lengths",
                                    "Insane message",
                                    "eceive failure",
                                    "try again"};

// Ends a job in the queue: the name before it is anybody's, and may have line breaks.
constexpr std::string_view kRecordEnd = "|end";

std::vector<std::string_view> slurm_lines(std::string_view text, std::string_view end = "\n") {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t at = std::min(text.find(end), text.size());
    if (at > 0) lines.push_back(text.substr(0, at));
    text.remove_prefix(std::min(at + end.size(), text.size()));
  }
  return lines;
}

std::vector<std::string_view> slurm_fields(std::string_view line, std::size_t most) {
  std::vector<std::string_view> fields;
  while (fields.size() + 1 < most && line.find('|') != std::string_view::npos) {
    fields.push_back(line.substr(0, line.find('|')));
    line.remove_prefix(line.find('|') + 1);
  }
  fields.push_back(line);
  return fields;
}

template <class T>
std::optional<T> slurm_number(std::string_view text) {
  T value{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// In one line, for an error.
std::string said_by(const ProgramEnd& end) {
  std::string text;
  for (const std::string_view line : slurm_lines(end.err)) text += (text.empty() ? "" : "; ") + std::string(line);
  if (text.empty())
    text = end.timed_out ? "no answer in time" : end.code ? fmt::format("exit code {}", *end.code) : "it was killed";
  return text.size() > 500 ? text.substr(0, 500) + "..." : text;
}

// What a user set for his own looks at the queue would hide jobs from us, or have only some of them cancelled.
std::set<std::string> filters_of_user() {
  std::set<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::string_view(*entry).find('='));
    const auto is_of = [&](const char* program) { return name.starts_with(program); };
    if (is_of("SQUEUE_") || is_of("SACCT_") || is_of("SCANCEL_") || name == "SLURM_CLUSTERS") names.emplace(name);
  }
  return names;
}

bool breaks_off(const std::string& said) {
  return std::ranges::any_of(kBrokenTalk, [&](const char* words) { return said.find(words) != std::string::npos; });
}

// "1234", or "1234;cluster"; a site's own sbatch may say more before it.
std::optional<std::int64_t> job_in(const std::string& said) {
  const auto lines = slurm_lines(said);
  if (lines.empty()) return std::nullopt;
  const auto job = slurm_number<std::int64_t>(lines.back().substr(0, lines.back().find(';')));
  return job && *job > 0 ? job : std::nullopt;
}

// "MaxArraySize            = 1001", or a part of a list of settings: "max_array_tasks=500".
std::optional<std::int64_t> setting_in(const std::string& config, std::string_view key) {
  std::size_t at = config.find(key);
  if (at == std::string::npos) return std::nullopt;
  at = config.find_first_not_of(" =", at + key.size());
  if (at == std::string::npos) return std::nullopt;
  return slurm_number<std::int64_t>(std::string_view(config).substr(at, config.find_first_of(", \n", at) - at));
}

// Of a line of NAME=VALUE words: "CANCEL" of "... PreemptMode=CANCEL GraceTime=0". Empty: it has no such word.
std::string_view word_in(std::string_view line, std::string_view name) {
  for (std::size_t at = 0; (at = line.find(name, at)) != std::string_view::npos; at += name.size()) {
    const std::size_t value = at + name.size();
    if (value >= line.size() || line[value] != '=' || (at > 0 && line[at - 1] != ' ')) continue;
    return line.substr(value + 1, line.find(' ', value) - value - 1);
  }
  return "";
}

}  // namespace

SlurmUser this_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return {::geteuid(), entry != nullptr ? entry->pw_name : std::to_string(::geteuid())};
}

bool SlurmTask::is_over() const {
  static const std::set<std::string, std::less<>> kOver = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE",
                                                           "FAILED",    "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY",
                                                           "TIMEOUT",   "REVOKED"};
  // sacct says by whom: "CANCELLED by 1000".
  return kOver.contains(std::string_view(state).substr(0, state.find(' ')));
}

Slurm::Answer Slurm::submit(const std::filesystem::path& script, const std::string& job_name,
                            const std::set<std::string>& without) {
  const auto end =
      run_program({"sbatch", "--parsable", "--job-name=" + job_name, script.string()}, patience_.submit, without);
  if (!end) fail(ErrorKind::Site, "sbatch: not found; is this a machine of a Slurm cluster?");
  Answer answer{.kind = Answer::Kind::Lost, .job = 0, .said = said_by(*end)};
  if (end->code == 0) {
    if (const auto job = job_in(end->out)) return {.kind = Answer::Kind::Submitted, .job = *job, .said = {}};
    answer.said = "its answer has no number of a job";
  } else if (end->code && !end->err.empty() && !breaks_off(end->err)) {
    answer.kind = Answer::Kind::Refused;
  }
  return answer;
}

std::vector<SlurmTask> Slurm::queue(Whose whose) {
  Words words = {"squeue",  "--all",        "--noheader",
                 "--array", "--states=all", "--format=%F|%K|%T|%U|%j" + std::string(kRecordEnd)};
  // Not by a list of users: one that this machine does not know would be left out without a word.
  if (whose == Whose::Own) words.push_back(fmt::format("--user={}", this_user().id));
  const auto end = run_program(words, patience_.ask, filters_of_user());
  if (!end) fail(ErrorKind::Site, "squeue: not found; is this a machine of a Slurm cluster?");
  if (end->code != 0) fail(ErrorKind::Unavailable, "Slurm cannot be asked: squeue: {}", said_by(*end));
  const std::string record_end = std::string(kRecordEnd) + "\n";
  if (!end->out.empty() && !end->out.ends_with(record_end)) {
    fail(ErrorKind::Unavailable, "Slurm cannot be asked: what squeue says is cut short");
  }
  std::vector<SlurmTask> tasks;
  for (const std::string_view line : slurm_lines(end->out, record_end)) {
    const auto fields = slurm_fields(line, 5);
    const auto job = slurm_number<std::int64_t>(fields[0]);
    const auto user = fields.size() == 5 ? slurm_number<std::int64_t>(fields[3]) : std::nullopt;
    if (!job || !user) {
      fail(ErrorKind::Unavailable, "Slurm cannot be asked: squeue says '{}'", line.substr(0, 100));
    }
    tasks.push_back({.job = *job,
                     .index = slurm_number<int>(fields[1]).value_or(0),  // N/A: of no array
                     .state = std::string(fields[2]),
                     .name = std::string(fields[4]),
                     .user = *user});
  }
  return tasks;
}

std::optional<std::vector<SlurmTask>> Slurm::accounted(std::int64_t since, Whose whose) {
  // Without a start it tells of this day only; it reads times as those of this place.
  const auto start = fmt::format("--starttime={:%Y-%m-%dT%H:%M:%S}", fmt::localtime(static_cast<std::time_t>(since)));
  const auto end = run_program({"sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", start,
                                whose == Whose::Own ? fmt::format("--uid={}", this_user().id) : "--allusers",
                                "--format=JobID,State,NodeList,JobName"},
                               patience_.ask, filters_of_user());
  if (!end || end->code != 0) return std::nullopt;
  std::vector<SlurmTask> tasks;
  for (const std::string_view line : slurm_lines(end->out)) {
    const auto fields = slurm_fields(line, 4);
    const std::size_t cut = fields[0].find('_');  // 12_3 of an array, 12_[0-4] before its tasks are told apart
    const auto job = slurm_number<std::int64_t>(fields[0].substr(0, cut));
    if (fields.size() != 4 || !job) continue;
    const auto index = cut == std::string_view::npos ? std::nullopt : slurm_number<int>(fields[0].substr(cut + 1));
    tasks.push_back({.job = *job,
                     .index = index.value_or(0),
                     .state = std::string(fields[1]),
                     .name = std::string(fields[3]),
                     .user = 0,
                     .nodes = std::string(fields[2])});
  }
  return tasks;
}

SlurmLimits Slurm::limits(const std::string& account) {
  SlurmLimits limits;
  if (const auto end = run_program({"scontrol", "show", "config"}, patience_.ask); end && end->code == 0) {
    limits.array_size = setting_in(end->out, "MaxArraySize");
    limits.array_tasks = setting_in(end->out, "max_array_tasks");
  }
  Words words = {"sacctmgr",
                 "--noheader",
                 "--parsable2",
                 "--readonly",
                 "show",
                 "associations",
                 "user=" + this_user().name,
                 "format=MaxSubmitJobs,GrpSubmitJobs"};
  if (!account.empty()) words.push_back("account=" + account);
  const auto end = run_program(words, patience_.ask);
  if (!end || end->code != 0) return limits;
  // Of several accounts the widest: which one a job without a word goes to is not said here, and sbatch will say.
  bool unlimited = false;
  for (const std::string_view line : slurm_lines(end->out)) {
    std::optional<std::int64_t> least;
    for (const std::string_view field : slurm_fields(line, 2)) {
      if (const auto most = slurm_number<std::int64_t>(field)) least = std::min(*most, least.value_or(*most));
    }
    unlimited = unlimited || !least;
    if (least) limits.jobs = std::max(*least, limits.jobs.value_or(0));
  }
  if (unlimited) limits.jobs.reset();
  return limits;
}

bool Slurm::cancels_preempted(const std::string& partition) {
  const auto end = run_program({"scontrol", "--oneliner", "show", "partition"}, patience_.ask);
  if (!end || end->code != 0) return false;
  const std::string wanted = "," + partition + ",";  // several may be named
  return std::ranges::any_of(slurm_lines(end->out), [&](std::string_view line) {
    const bool is_wanted = partition.empty()
                               ? word_in(line, "Default") == "YES"
                               : wanted.find(fmt::format(",{},", word_in(line, "PartitionName"))) != std::string::npos;
    return is_wanted && word_in(line, "PreemptMode").find("CANCEL") != std::string_view::npos &&
           word_in(line, "GraceTime") == "0";
  });
}

bool Slurm::shows_others() {
  const auto end = run_program({"scontrol", "show", "config"}, patience_.ask);
  if (!end || end->code != 0) return false;
  const std::size_t at = end->out.find("PrivateData");
  if (at == std::string::npos) return false;
  const std::string line = end->out.substr(at, end->out.find('\n', at) - at);
  return line.find("jobs") == std::string::npos && line.find("all") == std::string::npos;
}

bool Slurm::starts_pmix() {
  const auto end = run_program({"srun", "--mpi=list"}, patience_.ask);
  return end && (end->out + end->err).find("pmix") != std::string::npos;
}

void Slurm::cancel(std::span<const std::int64_t> jobs) {
  Words words = {"scancel"};
  for (const std::int64_t job : jobs) words.push_back(std::to_string(job));
  const auto end = run_program(words, patience_.ask, filters_of_user());
  if (!end) fail(ErrorKind::Site, "scancel: not found; is this a machine of a Slurm cluster?");
  if (end->code != 0) fail(ErrorKind::Unavailable, "scancel: {}", said_by(*end));
}

}  // namespace winnow
