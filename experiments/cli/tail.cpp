// `winnow tail`: what the journals say of trials, as it comes: epochs with their metrics, checkpoints, ends. Reads only.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>
#include <utility>

#include "core/error.h"
#include "experiments/cli/chosen_trials.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/run_account.h"
#include "experiments/results/status.h"

namespace winnow {
namespace {

namespace po = boost::program_options;
using TailRecord = nlohmann::json;

constexpr std::uint64_t kFirstReach = 256 * 1024;  // bytes of a journal in which its last lines are looked for

std::string tail_word(const TailRecord& record, const char* key) {
  const auto found = record.find(key);
  if (found == record.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double time_of(const TailRecord& record) {
  const auto found = record.find("time");
  return found != record.end() && found->is_number() ? found->get<double>() : 0;
}

std::string tail_number(const TailRecord& record, const char* key, const char* name, double factor, const char* unit) {
  const auto found = record.find(key);
  if (found == record.end() || !found->is_number()) return "";
  return fmt::format("  {} {:.6g}{}", name, factor * found->get<double>(), unit);
}

std::string tail_line(const TailRecord& record) {
  const std::string kind = tail_word(record, "kind"), said = tail_word(record, "said");
  const std::string trial = tail_word(record, "trial"), text = trial + "  ";
  if (kind == "epoch") {
    return trial + tail_number(record, "epoch", "epoch", 1, "") + fmt::format("  step {}", tail_word(record, "step")) +
           tail_number(record, "loss", "loss", 1, "") + tail_number(record, "test_acc", "test", 100, " %");
  }
  if (kind == "saved") return text + "saved at step " + tail_word(record, "step");
  if (kind == "promoted" || kind == "stopped") {
    return text + kind + tail_number(record, "rung", "at epoch", 1, "") +
           tail_number(record, "value", tail_word(record, "metric").c_str(), 1, "") +
           (record.contains("place") ? fmt::format("  {} of {}", tail_word(record, "place"), tail_word(record, "of"))
                                     : "");
  }
  if (kind == "end") return text + tail_word(record, "state") + (said.empty() ? "" : "  " + said);
  return text + kind + (said.empty() ? "" : "  " + said);
}

// The journals of a directory, and what came into them.
class JournalTail {
 public:
  JournalTail(Files& files, const ChosenTrials& chosen) : files_(files), chosen_(chosen) {}

  // The last `count` records that were there when this was made, oldest first.
  std::vector<TailRecord> first(std::size_t count) {
    std::vector<std::filesystem::path> paths = journals(files_, chosen_.out);
    std::map<std::filesystem::path, double> heard;
    for (const auto& path : paths) {
      const auto last = last_record(files_, path, {});
      heard[path] = last ? time_of(*last) : 0;
      over_[path] = last && tail_word(*last, "kind") == "over";
    }
    // Of thousands of journals the newest say what there is to say, but where one trial is asked for.
    constexpr std::size_t kNewest = 64;
    std::ranges::sort(paths, std::greater<>(), [&](const auto& path) { return heard[path]; });
    std::vector<TailRecord> found;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const bool all = chosen_.by_name, looked_at = all || i < kNewest;
      const std::uint64_t reach = all ? ~std::uint64_t{0} : looked_at ? kFirstReach : 0;
      const auto reader = readers_.try_emplace(paths[i], files_, paths[i], reach).first;
      if (looked_at) take(reader->second, found);
      keep_last(found, count);
    }
    return found;
  }

  std::vector<TailRecord> more() {
    for (const auto& path : journals(files_, chosen_.out)) {
      readers_.try_emplace(path, files_, path, ~std::uint64_t{0});
    }
    std::vector<TailRecord> found;
    for (auto& [path, reader] : readers_) {
      if (!over_[path]) take(reader, found);
    }
    sort_by_time(found);
    return found;
  }

 private:
  static void sort_by_time(std::vector<TailRecord>& records) { std::ranges::stable_sort(records, {}, time_of); }
  static void keep_last(std::vector<TailRecord>& records, std::size_t count) {
    sort_by_time(records);
    if (records.size() > count) records.erase(records.begin(), records.end() - static_cast<std::ptrdiff_t>(count));
  }
  void take(JournalReader& reader, std::vector<TailRecord>& found) {
    for (TailRecord& record : reader.more(files_)) {
      if (tail_word(record, "kind") == "over") over_[reader.path()] = true;
      const std::string trial = tail_word(record, "trial");
      if (trial.empty() || !chosen_.has(trial)) continue;
      record["journal"] = reader.path().filename().string();
      found.push_back(std::move(record));
    }
  }

  Files& files_;
  const ChosenTrials& chosen_;
  std::map<std::filesystem::path, JournalReader> readers_;
  std::map<std::filesystem::path, bool> over_;
};

bool any_at_work(Files& files, const ChosenTrials& chosen) {
  return std::ranges::any_of(read_running(files, chosen.out, unix_now()),
                             [&](const RunningTrial& trial) { return !trial.stale && chosen.has(trial.name); });
}

// Nothing is in work, and nothing is going to be: all that were chosen have ended. While a run lives it may try again what failed.
bool all_ended(Files& files, const ChosenTrials& chosen) {
  if (!account_of_runs(files, chosen.out, unix_now()).live.empty()) return false;
  const Layout layout(chosen.out);
  const auto settled = [&](const std::string& name) {
    return files.exists(layout.trial(name)) || files.exists(layout.failure(name));
  };
  if (chosen.names) {
    return std::ranges::all_of(*chosen.names, settled);
  }
  const SweepStatus now = of_current_plans(read_status(files, chosen.out, unix_now()));
  return now.running.empty() && now.missing.empty();
}

void print_tail(std::ostream& out, const std::vector<TailRecord>& records, bool json) {
  for (const TailRecord& record : records) {
    if (!json) {
      out << tail_line(record) << "\n";
      continue;
    }
    nlohmann::ordered_json line = {{"schema", "winnow-tail"}, {"schema_version", "1.0"}};
    line.update(record);
    write_json_line(out, line);
  }
  out << std::flush;
}

}  // namespace

void add_tail_options(VerbOptions& options) {
  add_chosen_options(options);
  options.add_options()("lines", po::value<int>()->default_value(10), "how many of the lines so far come first")(
      "once", "these only; does not wait for more")("json", "JSON, one object a line");
}

int run_tail(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto given = parse_arguments("tail", args, out);
  if (!given) return 0;
  constexpr int kMostLines = 1'000'000;
  const int lines = (*given)["lines"].as<int>();
  if (lines < 0 || lines > kMostLines) fail(ErrorKind::Usage, "--lines must be 0 to {}, is {}", kMostLines, lines);
  PosixFiles files;
  const ChosenTrials chosen = chosen_trials(files, *given);
  const bool json = given->contains("json");
  JournalTail tail(files, chosen);
  print_tail(out, tail.first(static_cast<std::size_t>(lines)), json);
  if (given->contains("once")) return 0;
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kLookEvery{1};
  bool said = false;
  for (auto next = Clock::now();;) {
    // Before the last look, so that what ended just now is shown. Judging a large directory takes its time.
    const auto begin = Clock::now();
    const bool idle = begin >= next && !any_at_work(files, chosen), ended = idle && all_ended(files, chosen);
    if (idle) next = Clock::now() + 20 * (Clock::now() - begin);
    print_tail(out, tail.more(), json);
    if (!out || ended) return 0;
    if (idle && !std::exchange(said, true)) {
      err << "nothing is being trained now; waiting for the next run (Ctrl-C ends this)" << std::endl;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace winnow
