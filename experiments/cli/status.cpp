#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <ostream>
#include <sstream>
#include <thread>

#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/status_json.h"
#include "experiments/cli/submission_json.h"
#include "experiments/cli/verbs.h"
#include "experiments/report/text_table.h"
#include "experiments/results/status.h"
#include "experiments/run/terminal.h"
#include "experiments/run/terminal_text.h"
#include "experiments/submit/submission.h"
#include "experiments/text.h"

namespace winnow {
namespace {

constexpr std::size_t kListedItems = 20;  // of each kind on the screen; --json has all

std::string percent(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.2f} %", *fraction * 100) : "-";
}

// "": the next run of it begins it.
std::string saved_text(const SweepStatus& status, const std::string& trial) {
  const auto found = status.saved.find(trial);
  return found == status.saved.end() ? "" : fmt::format("  saved at step {}", found->second);
}

std::string missing_line(const SweepStatus& status, const PlannedTrial& trial) {
  const std::vector<std::string> needs = needed_by(trial);
  return trial.name + "  " + label_of(settings_of_plan(trial.canonical)) + saved_text(status, trial.name) +
         (needs.empty() ? "" : fmt::format("  after {}", fmt::join(needs, ", ")));
}

// Where it is shown: as wide as the window on a terminal, unbounded in a file.
struct Screen {
  std::ostream& out;
  Terminal terminal;
  std::size_t width() const { return terminal.live ? terminal.columns() : std::string::npos; }
  void line(const std::string& text) const { out << clipped(text, width()) << "\n"; }
};

template <class Items, class Line>
void list(const Screen& screen, Colour colour, const std::string& title, const Items& items, Line&& line) {
  if (items.empty()) return;
  screen.out << screen.terminal.paint(colour, clipped(title, screen.width())) << "\n";
  for (std::size_t i = 0; i < std::min(items.size(), kListedItems); ++i) screen.line("  " + line(items[i]));
  if (items.size() > kListedItems)
    screen.line(fmt::format("  and {} more (--json lists all)", items.size() - kListedItems));
}

void print_running(const Screen& screen, const SweepStatus& s) {
  if (s.running.empty()) return;
  TextTable table;
  table.columns = {{"running", false, 0, {}}, {"done", true, 0, {}},  {"step", true, 4, {}},     {"saved", true, 3, {}},
                   {"loss", true, 3, {}},     {"test", true, 1, {}},  {"images/s", true, 2, {}}, {"left", true, 1, {}},
                   {"on", false, 5, {}},      {"trial", false, 6, {}}};
  for (const RunningTrial& t : s.running) {
    if (table.rows() == kListedItems) break;
    const Progress& p = t.progress;
    const double share = p.steps > 0 ? std::min(1.0, static_cast<double>(p.step) / static_cast<double>(p.steps)) : 0;
    const auto left = seconds_left_of(t, s.mean_seconds);
    const auto saved = s.saved.find(t.name);
    const std::string cells[] = {
        clipped(t.label, std::max<std::size_t>(std::min(screen.width(), std::size_t{120}) / 2, 12)),
        fmt::format("{:.0f} %", 100 * share),
        fmt::format("{}/{}", p.step, p.steps),
        saved == s.saved.end() ? "-" : std::to_string(saved->second),
        p.loss ? fmt::format("{:.4f}", *p.loss) : "-",
        percent(p.test_acc),
        p.images_per_second > 0 ? fmt::format("{:.0f}", p.images_per_second) : "-",
        left ? duration_text(*left) : "-",
        t.ranks == 1 ? t.host : fmt::format("{}, {} ranks", t.host, t.ranks),
        t.name};
    for (std::size_t i = 0; i < table.columns.size(); ++i) table.columns[i].cells.push_back(cells[i]);
  }
  table.fitted(screen.width()).text(screen.out);
  if (s.running.size() > kListedItems)
    screen.line(fmt::format("and {} more (--json lists all)", s.running.size() - kListedItems));
}

// What an earlier sweep wanted would only hide what is missing now.
void print_earlier(const Screen& screen, const SweepStatus& all) {
  if (all.earlier.empty()) return;
  const auto has_result = [&](const std::string& name) {
    return std::ranges::binary_search(all.done, name) || std::ranges::binary_search(all.diverged, name);
  };
  const auto settled = static_cast<std::size_t>(std::ranges::count_if(all.earlier, has_result));
  const auto is_saved = [&](const std::string& name) { return all.saved.contains(name); };
  const auto saved = std::ranges::count_if(all.earlier, is_saved);
  screen.line(fmt::format("{} of an earlier plan, {} with a result: --all lists them", all.earlier.size(), settled));
  if (settled == all.earlier.size()) return;
  screen.line(fmt::format("a run of its sweep goes on with the others{}; winnow forget gives them up",
                          saved > 0 ? fmt::format(" ({} saved)", saved) : ""));
}

// What became of the time that trials took; "": nothing is known.
std::string spent_text(const TimeSpent& spent) {
  const double all = spent.all();
  if (all < 1) return "";
  const auto share = [all](double seconds) { return 100 * seconds / all; };
  return fmt::format(
      "useful {:.1f} %   lost to preemption {:.1f} %   to failures {:.1f} %   not saved yet {:.1f} %   of {}",
      share(spent.useful), share(spent.preempted), share(spent.failed), share(spent.unsaved), duration_text(all));
}

// Each process, or job, that is at work.
void print_live(const Screen& screen, const std::vector<LiveRun>& runs) {
  if (runs.empty()) return;
  TextTable table;
  table.columns = {{"run", false, 0, {}},     {"done", true, 0, {}},     {"in work", true, 3, {}},
                   {"trials/h", true, 1, {}}, {"images/s", true, 2, {}}, {"left", true, 1, {}},
                   {"on", false, 4, {}}};
  for (const LiveRun& run : runs) {
    if (table.rows() == kListedItems) break;
    const auto rate = run.trials_per_hour(), left = run.seconds_left();
    const std::string cells[] = {fmt::format("{}.a{}", run.part, run.attempt),
                                 fmt::format("{:.1f}/{}", run.done, run.trials),
                                 std::to_string(run.in_work),
                                 rate ? fmt::format("{:.{}f}", *rate, *rate < 10 ? 1 : 0) : "-",
                                 run.images_per_second > 0 ? fmt::format("{:.0f}", run.images_per_second) : "-",
                                 left ? duration_text(*left) : "-",
                                 run.host};
    for (std::size_t i = 0; i < table.columns.size(); ++i) table.columns[i].cells.push_back(cells[i]);
  }
  table.fitted(screen.width()).text(screen.out);
  if (runs.size() > kListedItems)
    screen.line(fmt::format("and {} more runs (--json lists all)", runs.size() - kListedItems));
}

// The job of the newest submission that has one.
std::int64_t last_job(const std::vector<Submission>& all) {
  const auto last = std::find_if(all.rbegin(), all.rend(),
                                 [](const Submission& one) { return one.state == Submission::State::Submitted; });
  return last == all.rend() ? 0 : last->job;
}

// As the records say it: Slurm is not asked.
void print_submissions(const Screen& screen, Files& files, const std::filesystem::path& place) {
  try {
    const std::vector<Submission> all = read_submissions(files, place);
    if (all.empty()) return;
    const std::string command = "winnow reconcile " + shell_quoted(place.string());
    std::vector<std::string> open;
    std::size_t jobs = 0;
    for (const Submission& one : all) {
      jobs += one.state == Submission::State::Submitted ? 1 : 0;
      if (one.state == Submission::State::Uncertain) open.push_back(shards_text(one));
    }
    if (!open.empty()) {
      screen.out << screen.terminal.paint(
                        Colour::Red,
                        clipped(fmt::format("Slurm  {} uncertain, shards {}: {} settles it",
                                            counted(open.size(), "submission"), fmt::join(open, " and "), command),
                                screen.width()))
                 << "\n";
    } else if (jobs > 0) {
      screen.line(fmt::format("Slurm  {} submitted, the last one {}: {} says what became of them", counted(jobs, "job"),
                              last_job(all), command));
    }
  } catch (const Error& error) {
    screen.line(fmt::format("Slurm  what was submitted is not known: {}", error.what()));
  }
}

void print(const Screen& screen, const SweepStatus& s) {
  const std::size_t settled = s.done.size() + s.diverged.size() + s.stopped.size();
  std::string counts = fmt::format("done {}  diverged {}  failed {}  running {}  missing {}", s.done.size(),
                                   s.diverged.size(), s.failed.size(), s.running.size(), s.missing.size());
  if (!s.stopped.empty()) counts += fmt::format("  stopped {}", s.stopped.size());
  if (!s.damaged.empty()) counts += fmt::format("  damaged {}", s.damaged.size());
  screen.line(counts + fmt::format("  of {}   {} %", s.planned, s.planned == 0 ? 0 : settled * 100 / s.planned));
  std::string speed;
  if (s.trials_per_hour)
    speed += fmt::format("  {:.{}f} trials/h", *s.trials_per_hour, *s.trials_per_hour < 10 ? 1 : 0);
  if (s.mean_seconds > 0) speed += fmt::format(", {} each", duration_text(s.mean_seconds));
  if (s.seconds_left) speed += fmt::format("{} {} left", speed.empty() ? " " : ",", duration_text(*s.seconds_left));
  const double share = s.planned == 0 ? 0 : static_cast<double>(settled) / static_cast<double>(s.planned);
  const std::size_t room = screen.width() > speed.size() + 12 ? screen.width() - speed.size() : 12;
  const std::string progress = bar(share, std::min<std::size_t>(room, 42));
  screen.out << screen.terminal.paint(Colour::Green, progress) << clipped(speed, screen.width() - progress.size())
             << "\n";
  if (const std::string spent = spent_text(s.runs.spent); !spent.empty()) screen.line(spent);
  print_live(screen, s.runs.live);
  print_running(screen, s);
  list(screen, Colour::Yellow, "stopped without a word (the next run goes on with them)", s.stale,
       [&](const RunningTrial& t) {
         return fmt::format("{}  {}  {}{}", t.name, t.label, t.host, saved_text(s, t.name));
       });
  list(screen, Colour::Red, "diverged", s.diverged, [](const std::string& name) { return name; });
  list(screen, Colour::Red, "failed (the next run tries them again)", s.failed, [](const FailureRecord& f) {
    return fmt::format("{}  {}  ({})", f.name, f.reason, counted(static_cast<std::size_t>(f.attempts), "attempt"));
  });
  list(screen, Colour::Red, "unreadable (where it is damaged: remove the file to run the trial again)", s.damaged,
       [](const SweepStatus::Damaged& d) { return d.reason; });
  list(screen, Colour::Yellow, "missing", s.missing, [&](const PlannedTrial& trial) { return missing_line(s, trial); });
}

void print_part(const Screen& screen, Files& files, const std::filesystem::path& place, const SweepStatus& status,
                bool all) {
  if (all || status.earlier.empty()) {
    print(screen, status);
  } else {
    print(screen, of_current_plans(status));
    print_earlier(screen, status);
  }
  print_submissions(screen, files, place);
}

// Until nothing runs and nothing is missing, or somebody has seen enough.
void watch(const Screen& screen, const std::filesystem::path& place, bool all, bool json) {
  PosixFiles files;
  for (;;) {
    std::ostringstream text;
    const SweepStatus status = read_status(files, place, unix_now());
    if (json) {
      write_json_line(text, status_json(files, place, status));
    } else {
      print_part({text, screen.terminal}, files, place, status, all);
      if (screen.terminal.live) screen.out << CursorControl{"\033[H\033[J"};
      if (!screen.terminal.live) text << "\n";
    }
    screen.out << text.str() << std::flush;
    if (!screen.out || (status.running.empty() && of_current_plans(status).missing.empty())) return;
    std::this_thread::sleep_for(std::chrono::seconds(screen.terminal.live ? 2 : 30));
  }
}

}  // namespace

void add_status_options(VerbOptions& options) {
  options.add_options()("place", boost::program_options::value<std::string>(), "output directory of winnow run")(
      "all", "also trials of earlier plans")("json", "everything, as one JSON object; with --watch one a line")(
      "watch", "again every 2 s, every 30 s in a log, until all trials are settled");
}

int run_status(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("status", args, out);
  if (!given) return 0;
  const std::filesystem::path place = place_of(*given);
  const Screen screen{out, out.rdbuf() == std::cout.rdbuf() ? terminal_of(STDOUT_FILENO) : Terminal()};
  if (given->contains("watch")) {
    watch(screen, place, given->contains("all"), given->contains("json"));
    return 0;
  }
  PosixFiles files;
  const SweepStatus status = read_status(files, place, unix_now());
  if (given->contains("json")) {
    write_json(out, status_json(files, place, status));
  } else {
    print_part(screen, files, place, status, given->contains("all"));
  }
  return 0;
}

}  // namespace winnow
