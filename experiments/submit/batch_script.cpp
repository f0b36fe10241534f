#include "experiments/submit/batch_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "experiments/text.h"
#include "winnow_batch_template.h"

namespace winnow {
namespace {

bool is_plain(unsigned char c) {
  return std::isalnum(c) || std::string_view("_-.,:/+=@%[]").find(c) != std::string_view::npos;
}

// As sbatch reads a word of a line that starts with #SBATCH.
std::string sbatch_quoted(const std::string& word) {
  if (std::ranges::any_of(word, [](unsigned char c) { return c < ' ' || c == 0x7f; })) {
    fail(ErrorKind::Usage, "'{}': Slurm cannot be told a name with line breaks or control characters", word);
  }
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string quoted = "\"";
  for (const char c : word) quoted += (c == '"' || c == '\\' ? "\\" : "") + std::string(1, c);
  return quoted + "\"";
}

// A path of logs is a pattern: %A is the job.
std::string log_pattern(const std::filesystem::path& logs) {
  std::string pattern;
  for (const char c : logs.string()) {
    // In a pattern a backslash takes the meaning from all of it.
    if (c == '\\') fail(ErrorKind::Usage, "{}: Slurm writes no logs below a name with a backslash", logs.string());
    pattern += c == '%' ? "%%" : std::string(1, c);
  }
  return pattern;
}

std::string directives(const Site& site) {
  std::string lines;
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) lines += fmt::format("#SBATCH --{}={}\n", option, sbatch_quoted(value));
  };
  const auto add_count = [&](const char* option, std::int64_t count) {
    if (count > 0) add(option, std::to_string(count));
  };
  add_count("nodes", site.nodes);
  add_count("ntasks-per-node", site.tasks_per_node);
  add_count("gpus-per-node", site.gpus_per_node);
  add_count("cpus-per-task", site.cpus_per_task);
  add("mem", site.memory);  // 0: all of the node
  add("partition", site.partition);
  add("account", site.account);
  add("exclude", site.exclude);
  for (const std::string& option : site.sbatch) lines += fmt::format("#SBATCH {}\n", option);
  if (!lines.empty()) lines.pop_back();  // the line of the template ends it
  return lines;
}

// Every NAME between two signs @ that `values` has; what is put in is not looked at again.
std::string filled_in(std::string_view text, const std::map<std::string, std::string, std::less<>>& values) {
  std::string filled;
  while (!text.empty()) {
    const std::size_t at = text.find('@');
    filled += text.substr(0, at);
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 1);
    const auto value = values.find(text.substr(0, text.find('@')));
    if (value == values.end()) {
      filled += '@';
      continue;
    }
    filled += value->second;
    text.remove_prefix(value->first.size() + 1);
  }
  return filled;
}

// The head of the template is for who fills it in.
std::string without_explanation(std::string_view text) {
  const std::size_t first = text.find('\n') + 1;
  return std::string(text.substr(0, first)) + std::string(text.substr(text.find("#SBATCH", first)));
}

}  // namespace

std::string batch_script(const Site& site, const BatchJob& job) {
  std::string setup;
  for (const std::string& line : site.setup) setup += line + "\n";
  return filled_in(without_explanation(kBatchTemplate),
                   {{"NAME", sbatch_quoted(job.name)},
                    {"ARRAY", job.array},
                    {"TIME", site.time},
                    {"NOTICE", std::to_string(site.notice)},
                    {"DIRECTIVES", directives(site)},
                    {"OUTPUT", sbatch_quoted(log_pattern(job.logs) + "/%A_%a.out")},
                    {"FOLDER", shell_quoted(job.logs.string())},
                    {"OFFSET", std::to_string(job.offset)},
                    {"CRASHES", std::to_string(site.crashes)},
                    {"SETUP", setup},
                    {"LAUNCH", job.launch},
                    {"COMMAND", job.command}});
}

std::string launch_words(const Site& site, bool pmix) {
  const std::string how = site.launch == "auto" ? (pmix ? "srun" : "mpirun") : site.launch;
  if (how == "srun") {
    // GPUs stay visible to all tasks of a node: a rank chooses its own, and NCCL reaches the others.
    std::string words = "srun --mpi=pmix --kill-on-bad-exit=1";
    if (site.gpus_per_node > 0) words += " --gpu-bind=none";
    // Since Slurm 22.05 srun does not take it over from sbatch, and would bind each rank to a core.
    if (site.cpus_per_task > 0) words += fmt::format(" --cpus-per-task={}", site.cpus_per_task);
    return words;
  }
  if (how == "none" && site.nodes * site.tasks_per_node > 1) {
    fail(ErrorKind::Site,
         "launch is none, and a job has {} processes: nodes and tasks_per_node must be 1, or launch auto",
         site.nodes * site.tasks_per_node);
  }
  // Open MPI binds one or two processes to a core each, and threads and workers would share it.
  return how == "none" ? "" : "mpirun --bind-to none";
}

std::set<std::string> overriding_variables(const Site& site) {
  std::set<std::string> names = {"SBATCH_JOB_NAME", "SBATCH_ARRAY_INX",  "SBATCH_TIMELIMIT", "SBATCH_SIGNAL",
                                 "SBATCH_REQUEUE",  "SBATCH_NO_REQUEUE", "SBATCH_OPEN_MODE", "SBATCH_OUTPUT",
                                 "SBATCH_ERROR",    "SBATCH_WAIT",       "SBATCH_CLUSTERS",  "SLURM_CLUSTERS"};
  if (!site.partition.empty()) names.insert("SBATCH_PARTITION");
  if (!site.account.empty()) names.insert("SBATCH_ACCOUNT");
  if (site.gpus_per_node > 0) names.insert("SBATCH_GPUS_PER_NODE");
  if (!site.memory.empty()) names.insert("SBATCH_MEM_PER_NODE");
  return names;
}

}  // namespace winnow
