#include "experiments/results/run_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "experiments/results/journal.h"
#include "experiments/results/json_number.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"

namespace winnow {
namespace {

constexpr double kDeadAfter = 90;  // s without a beat
constexpr int kStoppedOnRequest = static_cast<int>(ErrorKind::Stopped);
constexpr const char* kMarkEnding = ".crash";

// Of a journal's name: what stands before ".a0003.jnl", and the 3.
std::pair<std::string, int> part_of(const std::filesystem::path& journal) {
  const std::string stem = journal.stem().string();
  const std::size_t at = stem.rfind(".a");
  int attempt = 0;
  if (at == std::string::npos) return {stem, attempt};
  std::from_chars(stem.data() + at + 2, stem.data() + stem.size(), attempt);
  return {stem.substr(0, at), attempt};
}

LiveRun live_run(const std::filesystem::path& journal, const nlohmann::json& beat, double heard) {
  LiveRun run;
  std::tie(run.part, run.attempt) = part_of(journal);
  run.host = beat.value("host", "");
  run.trials = integer_in(beat, "trials", std::int64_t{0});
  run.in_work = integer_in(beat, "in_work", std::int64_t{0});
  run.done = beat.value("done", 0.0);
  run.images_per_second = beat.value("images_per_second", 0.0);
  run.began = beat.value("began", heard);
  run.heard = heard;
  return run;
}

}  // namespace

TimeSpent& TimeSpent::operator+=(const TimeSpent& other) {
  useful += other.useful;
  unsaved += other.unsaved;
  preempted += other.preempted;
  failed += other.failed;
  return *this;
}

std::optional<double> LiveRun::trials_per_hour() const {
  constexpr double kLeastDone = 0.02;
  if (done < kLeastDone || heard <= began) return std::nullopt;
  return done * 3600 / (heard - began);
}

std::optional<double> LiveRun::seconds_left() const {
  const auto rate = trials_per_hour();
  if (!rate) return std::nullopt;
  return std::max(0.0, static_cast<double>(trials) - done) * 3600 / *rate;
}

RunAccount account_of_runs(Files& files, const std::filesystem::path& out, std::int64_t now) {
  RunAccount account;
  const std::vector<std::string> there = files.list(Layout(out).journals());
  for (const auto& path : journals(files, out)) {
    try {
      const auto last = last_record(files, path, {"beat", "over"});
      if (!last) continue;
      const auto& seconds = last->at("seconds");
      const double time = last->at("time").get<double>();
      const bool is_over = last->at("kind") == "over";
      double unsaved = seconds.at("unsaved").get<double>(), heard = time;
      // What was in work then went on until the last that was heard of it.
      if (const auto word = last_record(files, path, {})) {
        heard = std::max(time, word->at("time").get<double>());
        unsaved += (heard - time) * last->at("in_work").get<double>();
      }
      TimeSpent of_run{.useful = seconds.at("useful").get<double>(),
                       .preempted = seconds.at("lost").get<double>(),
                       .failed = seconds.at("failed").get<double>() + seconds.value("crashed", 0.0)};
      const auto mark = path.filename().replace_extension(kMarkEnding).string();
      const bool crashed = std::ranges::binary_search(there, mark);
      const bool is_gone = is_gone_here(last->value("host", ""), integer_in(*last, "process", std::int64_t{0}));
      if (!is_over && !crashed && !is_gone && static_cast<double>(now) - time < kDeadAfter) {
        of_run.unsaved = unsaved;
        account.live.push_back(live_run(path, *last, heard));
      } else {
        const bool by_itself = is_over ? last->value("code", kStoppedOnRequest) != kStoppedOnRequest : crashed;
        (by_itself ? of_run.failed : of_run.preempted) += unsaved;
      }
      account.spent += of_run;
    } catch (const nlohmann::json::exception&) {  // of another version
    } catch (const Error&) {
    }
  }
  return account;
}

std::filesystem::path crash_mark(const std::filesystem::path& out, const std::string& part, int attempt) {
  return Layout(out).journals() / fmt::format("{}.a{:04}{}", part, attempt, kMarkEnding);
}

}  // namespace winnow
