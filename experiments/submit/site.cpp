#include "experiments/submit/site.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>

#include "core/error.h"
#include "experiments/results/files.h"
#include "experiments/sweep/entries.h"

namespace winnow {
namespace {

constexpr double kMostCount = 1e6;

Setting site_text(const char* key, const char* meaning) {
  return {.key = key, .kind = Setting::Kind::Text, .fallback = "", .meaning = meaning};
}
Setting site_count(const char* key, const char* fallback, double least, const char* unit, const char* meaning) {
  return {.key = key,
          .kind = Setting::Kind::Int,
          .fallback = fallback,
          .range = Range{least, kMostCount},
          .unit = unit,
          .meaning = meaning};
}

// What goes into a line of the script as it is must not end the line.
bool is_one_line(const std::string& text) {
  return std::ranges::none_of(text, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

// Options that the script has for itself: with others than these it would not do what it says.
const std::vector<std::string>& own_options() {
  static const std::vector<std::string> own = {"--job-name",   "--array",     "--time",   "--signal",    "--requeue",
                                               "--no-requeue", "--open-mode", "--output", "--error",     "--wait",
                                               "--parsable",   "--chdir",     "--wrap",   "--test-only", "--clusters",
                                               "--cluster",    "--exclude"};
  return own;
}

class SiteReader {
 public:
  explicit SiteReader(const std::filesystem::path& path) {
    if (path.empty()) return;
    PosixFiles files;
    const std::string text = read_text(files, path);
    const int source = problems_.add_file(path.string(), text);
    const NodePtr root = parse_tree(text, source, problems_);
    if (!root || root->is_null()) return;
    if (!root->is_map()) problems_.error(root->place, "a site profile is a map of settings");
    for (const Member& member : root->members) read(member);
  }

  // As an option: the same rules, and its own text as the place.
  void take(const std::string& key, const std::string& text) {
    const Place place{problems_.add_argument(fmt::format("--{} {}", dashed(key), text)), 0, 0, 1};
    if (key == "sbatch") return add_line(site_.sbatch, text, place, true);
    set(key, text, place);
  }

  Site site() {
    std::vector<SettingProblem> wrong;
    const Settings all = resolve(site_settings(), given_, wrong);
    for (const SettingProblem& problem : wrong) {
      problems_.error(places_.at(problem.key), fmt::format("'{}' {}", problem.key, problem.text));
    }
    problems_.throw_if_any();
    fill(all);
    problems_.throw_if_any();
    return site_;
  }

 private:
  static std::string dashed(std::string key) {
    std::ranges::replace(key, '_', '-');
    return key;
  }

  void read(const Member& member) {
    if (member.key == "setup" || member.key == "sbatch") {
      auto& lines = member.key == "setup" ? site_.setup : site_.sbatch;
      if (!member.value->is_list()) {
        return problems_.error(member.value->place, fmt::format("'{}' is a list of lines", member.key));
      }
      for (const NodePtr& item : member.value->items) {
        if (!item->is_scalar()) {
          problems_.error(item->place, fmt::format("'{}' is a list of lines", member.key));
        } else {
          add_line(lines, item->text, item->place, member.key == "sbatch");
        }
      }
      return;
    }
    std::vector<std::string> known = {"setup", "sbatch"};
    for (const Setting& setting : site_settings()) known.push_back(setting.key);
    if (std::ranges::find(known, member.key) == known.end()) {
      std::string hint = did_you_mean(member.key, known);
      if (hint.empty()) hint = fmt::format("a site profile has {}", fmt::join(known, ", "));
      return problems_.error(member.place, fmt::format("unknown key '{}'", member.key), std::move(hint));
    }
    if (!member.value->is_scalar()) {
      return problems_.error(member.value->place,
                             fmt::format("'{}' must be a value, is {}", member.key, name_of(member.value->kind)));
    }
    set(member.key, member.value->text, member.value->place);
  }

  void set(const std::string& key, const std::string& text, const Place& place) {
    places_[key] = place;
    if (!is_one_line(text)) return problems_.error(place, fmt::format("'{}' must be one line", key));
    given_.set(key, text);
  }

  void add_line(std::vector<std::string>& lines, const std::string& line, const Place& place, bool is_option) {
    if (!is_one_line(line)) return problems_.error(place, "must be one line");
    if (is_option) {
      if (!line.starts_with("--")) return problems_.error(place, "an option of sbatch starts with --");
      // sbatch parts a line at blanks, takes quotes away, and knows an option by its beginning, too.
      std::string bare = line;
      std::erase_if(bare, [](char c) { return c == '"' || c == '\'' || c == '\\'; });
      for (std::size_t at = 0; at < bare.size(); at = std::min(bare.find_first_of(" \t", at), bare.size()) + 1) {
        if (bare[at] != '-') continue;
        const std::string rest = bare.substr(at), option = rest.substr(0, rest.find_first_of("= \t"));
        if (!option.starts_with("--")) {
          return problems_.error(place, fmt::format("'{}': options of sbatch are given by their long names", option));
        }
        const auto own =
            std::ranges::find_if(own_options(), [&](const std::string& one) { return one.starts_with(option); });
        if (own == own_options().end()) continue;
        return problems_.error(place, fmt::format("'{}' is set by winnow submit itself", *own));
      }
    }
    lines.push_back(line);
  }

  void fill(const Settings& all) {
    site_.partition = all.text("partition");
    site_.account = all.text("account");
    site_.exclude = all.text("exclude");
    site_.memory = all.text("memory");
    site_.launch = all.text("launch");
    site_.exclude_failed = all.text("exclude_failed") == "yes";
    const std::pair<const char*, std::int64_t*> numbers[] = {{"notice", &site_.notice},
                                                             {"nodes", &site_.nodes},
                                                             {"tasks_per_node", &site_.tasks_per_node},
                                                             {"gpus_per_node", &site_.gpus_per_node},
                                                             {"cpus_per_task", &site_.cpus_per_task},
                                                             {"array_limit", &site_.array_limit},
                                                             {"at_once", &site_.at_once},
                                                             {"crashes", &site_.crashes},
                                                             {"ask_every", &site_.ask_every}};
    for (const auto& [key, number] : numbers) *number = all.integer(key);
    site_.time = all.text("time");
    if (site_.time.empty()) {
      fail(ErrorKind::Usage, "which time limit?   (--time 04:00:00, or 'time: 04:00:00' in a site profile)");
    }
    const auto seconds = seconds_of_limit(site_.time);
    if (!seconds) {
      return problems_.error(
          places_.at("time"),
          fmt::format("'time' must be a time limit of Slurm, as 90, 04:00:00 or 1-12:00:00, is '{}'", site_.time));
    }
    site_.time_seconds = *seconds;
    constexpr std::int64_t kMostNotice = 65'535;  // of sbatch --signal
    if (site_.notice > kMostNotice) {
      problems_.error(places_.at("notice"),
                      fmt::format("'notice' is {} s, Slurm takes {} at most", site_.notice, kMostNotice));
    }
    if (site_.time_seconds - site_.notice <= kMostEarly) {
      problems_.error(
          places_.at(places_.contains("notice") ? "notice" : "time"),
          fmt::format("'notice' is {} s and Slurm may say so {} s earlier, so no time is left of a limit of {}: "
                      "that must be longer than {} s, or the notice shorter",
                      site_.notice, kMostEarly, site_.time, site_.notice + kMostEarly));
    }
  }

  Diagnostics problems_;
  Settings given_;
  std::map<std::string, Place> places_;
  Site site_;
};

}  // namespace

const Schema& site_settings() {
  static const Schema schema = {
      site_text("partition", "partition of the jobs"),
      site_text("account", "account that pays for them"),
      site_text("time", "time limit of a job, as Slurm takes it: 04:00:00"),
      site_count("notice", "300", 1, "s",
                 "time before the limit at which a run is told to save and stop; Slurm may say so a minute earlier"),
      site_count("nodes", "1", 1, "", "nodes of a job"),
      site_count("tasks_per_node", "1", 1, "", "processes (MPI ranks) on each node"),
      site_count("gpus_per_node", "0", 0, "", "GPUs of each node; all its processes see them"),
      site_count("cpus_per_task", "0", 0, "", "cores of each process; 0: as Slurm has it"),
      site_text("memory", "memory of each node, as sbatch --mem takes it: 64G"),
      site_text("exclude", "nodes to keep away from: node13,node[20-22]"),
      {.key = "exclude_failed",
       .kind = Setting::Kind::Choice,
       .fallback = "yes",
       .choices = {"yes", "no"},
       .meaning = "keep away from nodes that were lost (NODE_FAIL) twice in two weeks under jobs of the same folder "
                  "that had them alone, as accounts tell"},
      {.key = "launch",
       .kind = Setting::Kind::Choice,
       .fallback = "auto",
       .choices = {"auto", "srun", "mpirun", "none"},
       .meaning =
           "what starts the processes; auto: srun --mpi=pmix where srun has pmix, else mpirun; none: one process, "
           "which trains on all cores or GPUs of its node"},
      site_count("array_limit", "0", 0, "", "tasks that one array may have here; 0: what Slurm says"),
      site_count("at_once", "0", 0, "", "tasks that run at a time; 0: as many as Slurm starts"),
      site_count("crashes", "4", 0, "",
                 "crashes after which a shard is still started again; starts in a row that were told to stop before "
                 "they got on count, too"),
      site_count("ask_every", "5", 0, "s", "least time between two questions to Slurm about one folder of results")};
  return schema;
}

std::string option_of(const Setting& setting) {
  std::string name = setting.key;
  std::ranges::replace(name, '_', '-');
  return name;
}

Site read_site(const std::filesystem::path& path, const std::vector<std::pair<std::string, std::string>>& given) {
  SiteReader reader(path);
  for (const auto& [key, text] : given) reader.take(key, text);
  return reader.site();
}

std::optional<std::int64_t> seconds_of_limit(const std::string& text) {
  std::vector<std::int64_t> parts;
  std::string marks;
  for (const char *at = text.data(), *end = at + text.size(); at <= end; ++at) {
    std::int64_t number = 0;
    const auto read = std::from_chars(at, end, number);
    if (read.ec != std::errc() || number < 0 || number > 1'000'000) return std::nullopt;
    parts.push_back(number);
    at = read.ptr;
    if (at != end) marks += *at;
  }
  constexpr std::int64_t kMinute = 60, kHour = 3600, kDay = 86400;
  std::int64_t seconds = 0;
  if (marks.empty())
    seconds = parts[0] * kMinute;
  else if (marks == ":")
    seconds = parts[0] * kMinute + parts[1];
  else if (marks == "::")
    seconds = parts[0] * kHour + parts[1] * kMinute + parts[2];
  else if (marks == "-")
    seconds = parts[0] * kDay + parts[1] * kHour;
  else if (marks == "-:")
    seconds = parts[0] * kDay + parts[1] * kHour + parts[2] * kMinute;
  else if (marks == "-::")
    seconds = parts[0] * kDay + parts[1] * kHour + parts[2] * kMinute + parts[3];
  return seconds > 0 ? std::optional(seconds) : std::nullopt;
}

}  // namespace winnow
