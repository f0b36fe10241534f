#include "experiments/run/run_journal.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "distributed/agree.h"
#include "distributed/host_name.h"
#include "experiments/results/json_number.h"
#include "experiments/run/exit_file.h"
#include "experiments/run/provenance.h"

namespace winnow {
namespace {

double unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now)).count();
}

const char* name_of(TrialEnd end) {
  switch (end) {
    case TrialEnd::Trained:
      return "done";
    case TrialEnd::Diverged:
      return "diverged";
    case TrialEnd::Failed:
      return "failed";
    case TrialEnd::Elsewhere:
      return "elsewhere";
    case TrialEnd::Left:
      return "left";
  }
  return "";
}

// The next start of the job need not do it again. A trial that failed is tried again by it, and a checkpoint of the step that the trial
// went on from, or of its beginning, is where it was before.
bool brings_something(const TrialNews& news) {
  if (news.end) return *news.end != TrialEnd::Failed;
  return news.saved && news.progress.step > 0 && *news.saved > news.progress.from;
}

}  // namespace

RunJournal::RunJournal(Files& files, const std::filesystem::path& out, const Facts& facts,
                       std::function<void(const std::string&)> say)
    : say_(std::move(say)),
      listener_(facts.listener),
      rule_(facts.rule),
      trials_(facts.trials),
      began_(unix_seconds()),
      synced_(seconds_now()) {
  try {
    writer_.emplace(files, out, facts.part);
  } catch (const Error& error) {
    say_(fmt::format("warning: no journal: {}", error.what()));
  }
  record(
      "attempt",
      [&](nlohmann::ordered_json& to) {
        to["part"] = facts.part;
        to["attempt"] = attempt();
        to["host"] = host_name();
        to["process"] = ::getpid();
        to["ranks"] = facts.ranks;
        to["trials"] = facts.trials;
        to["writer"] = build_summary();
        to["command_line"] = facts.command_line;
        for (const char* name : {"SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"}) {
          if (const char* value = std::getenv(name)) to[name] = value;
        }
      },
      false);
  beat(
      "beat", [](nlohmann::ordered_json&) {}, true);  // alive before its first trial says a word
}

void RunJournal::record(const char* kind, const std::function<void(nlohmann::ordered_json&)>& rest, bool synced) {
  if (!writer_ && !listener_) return;
  nlohmann::ordered_json json = {{"kind", kind}, {"time", unix_seconds()}};
  rest(json);
  try {
    if (writer_) writer_->append(json);
    if (writer_ && synced) writer_->sync();
  } catch (const std::exception& error) {
    writer_.reset();  // a line after one that was cut short would be damaged, too
    say_(fmt::format("warning: the journal ends here: {}", reason_of(error)));
  }
  if (listener_) listener_(json);
}

void RunJournal::hear(const std::string& trial, const TrialNews& news) {
  if (brings_something(news)) note_progress();
  const double now = seconds_now();
  const auto of_trial = [&](nlohmann::ordered_json& to) { to["trial"] = trial; };
  const auto [place, is_new] =
      begun_.try_emplace(trial, Begun{.since = now - news.seconds, .saved = now - news.seconds});
  Begun& begun = place->second;
  begun.progress = news.progress;
  if (is_new && !(news.end && news.seconds == 0)) record("start", of_trial, false);
  if (is_new && !news.end) beat_now_and_then();
  if (news.saved) {
    begun.saved = now;
    record(
        "saved", [&](nlohmann::ordered_json& to) { of_trial(to), to["step"] = *news.saved; }, false);
    beat_now_and_then();
  }
  if (news.epoch && *news.epoch != begun.epoch) {
    begun.epoch = *news.epoch;
    record(
        "epoch",
        [&](nlohmann::ordered_json& to) {
          of_trial(to);
          to["epoch"] = *news.epoch;
          to["step"] = news.progress.step;
          to["loss"] = number_or_null(news.progress.loss);
          to["test_acc"] = number_or_null(news.progress.test_acc);
        },
        false);
  }
  if (!news.end) return;
  const double seconds = std::max(now - begun.since, news.seconds);  // all of them, where nothing was heard before
  (*news.end == TrialEnd::Failed ? failed_ : useful_) += seconds;
  record(
      "end",
      [&](nlohmann::ordered_json& to) {
        of_trial(to);
        to["state"] = name_of(*news.end);
        to["seconds"] = std::round(seconds * 1000) / 1000;
        to["said"] = news.text;
      },
      false);
  begun_.erase(place);
  ++ended_;
  beat_now_and_then();
}

void RunJournal::decided(const std::string& trial, const RungDecision& decision) {
  // News of several processes need not come in the order in which they decided.
  std::int64_t& past = past_[trial];
  if (decision.promoted) past = std::max(past, decision.rung);
  if (!decision.promoted && (decision.rung <= past || !stopped_.insert({trial, decision.rung}).second)) return;
  record(
      decision.promoted ? "promoted" : "stopped",
      [&](nlohmann::ordered_json& to) {
        to["trial"] = trial;
        to["rule"] = rule_->text();
        to["metric"] = rule_->metric;
        to.update(fields_of(decision));
      },
      false);
}

void RunJournal::given_back(const std::string& trial, const std::string& why, bool crashed) {
  if (const auto found = begun_.find(trial); found != begun_.end()) {
    useful_ += found->second.saved - found->second.since;
    (crashed ? crashed_ : lost_) += seconds_now() - found->second.saved;
    begun_.erase(found);
  }
  record(
      "given back", [&](nlohmann::ordered_json& to) { to["trial"] = trial, to["said"] = why; }, false);
}

void RunJournal::tick() {
  if (seconds_now() - synced_ >= kBeatEvery)
    beat(
        "beat", [](nlohmann::ordered_json&) {}, true);
}

void RunJournal::beat_now_and_then() {
  constexpr double kMostOften = 1;  // s
  if (seconds_now() - beat_ >= kMostOften)
    beat(
        "beat", [](nlohmann::ordered_json&) {}, false);
}

void RunJournal::end(int code) {
  beat(
      "over", [code](nlohmann::ordered_json& to) { to["code"] = code; }, true);
}

// `unsaved` is lost if this is the last that is heard of the run.
void RunJournal::beat(const char* kind, const std::function<void(nlohmann::ordered_json&)>& rest, bool synced) {
  const double now = beat_ = seconds_now();
  if (synced) synced_ = now;
  double saved = 0, unsaved = 0, images_per_second = 0;
  auto done = static_cast<double>(ended_);
  for (const auto& [trial, begun] : begun_) {
    saved += begun.saved - begun.since;
    unsaved += now - begun.saved;
    const Progress& at = begun.progress;
    images_per_second += at.images_per_second;
    if (at.steps > at.from) done += static_cast<double>(at.step - at.from) / static_cast<double>(at.steps - at.from);
  }
  record(
      kind,
      [&](nlohmann::ordered_json& to) {
        to["in_work"] = begun_.size();
        to["trials"] = trials_;
        to["host"] = host_name();
        to["process"] = ::getpid();
        to["began"] = began_;
        const auto rounded = [](double seconds) { return std::round(seconds * 1000) / 1000; };
        to["seconds"] = {{"useful", rounded(useful_ + saved)},
                         {"unsaved", rounded(unsaved)},
                         {"lost", rounded(lost_)},
                         {"failed", rounded(failed_)},
                         {"crashed", rounded(crashed_)}};
        to["done"] = rounded(done);
        to["images_per_second"] = rounded(images_per_second);
        rest(to);
      },
      synced);
}

}  // namespace winnow
