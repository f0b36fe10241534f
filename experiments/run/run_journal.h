// The journal of a run, kept by the process that hears of all its trials: what was begun, saved, finished and given up, and how
// much of the time that trials took is kept by a result or a checkpoint. That it cannot be written is said once, and no error
// of the run. Whoever listens (`run --json`) gets every record, written or not, and a batch script learns whether its start brought
// anything (exit_file.h). One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "experiments/results/journal.h"
#include "experiments/run/rung_decision.h"
#include "experiments/run/trial_news.h"
#include "experiments/stop_rule.h"

namespace winnow {

class RunJournal {
 public:
  struct Facts {
    std::string part;  // of the sweep: "run", or a shard
    std::string command_line;
    int ranks = 1;
    std::size_t trials = 0;          // that are left
    const StopRule* rule = nullptr;  // null: there is none. Borrowed
    std::function<void(const nlohmann::ordered_json&)> listener = {};
  };
  RunJournal(Files& files, const std::filesystem::path& out, const Facts& facts,
             std::function<void(const std::string&)> say);

  // `trial`: the name of the one that the news are of.
  void hear(const std::string& trial, const TrialNews& news);
  // That a trial stays at a rung is written once, however many say so.
  void decided(const std::string& trial, const RungDecision& decision);
  // `crashed`: its process, by itself; else somebody ended it.
  void given_back(const std::string& trial, const std::string& why, bool crashed);
  void tick();  // a beat, if it is time for one
  void end(int code);

  int attempt() const { return writer_ ? writer_->attempt() : 0; }  // of the part; 0: there is no journal

  static constexpr double kBeatEvery = 30;  // s

 private:
  struct Begun {
    double since = 0, saved = 0;  // seconds_now(): of its start; up to which its work is on disk
    double epoch = -1;
    Progress progress = {};
  };
  void record(const char* kind, const std::function<void(nlohmann::ordered_json&)>& rest, bool synced);
  void beat(const char* kind, const std::function<void(nlohmann::ordered_json&)>& rest, bool synced);
  void beat_now_and_then();  // without a word to the disk: what is not heard of any more is not lost track of

  std::optional<JournalWriter> writer_;
  std::function<void(const std::string&)> say_;
  std::function<void(const nlohmann::ordered_json&)> listener_;
  const StopRule* rule_;
  std::set<std::pair<std::string, std::int64_t>> stopped_;  // trial and rung
  std::map<std::string, std::int64_t> past_;                // by trial: the last rung that it was let past, by this run
  std::map<std::string, Begun> begun_;                      // by trial
  std::size_t trials_ = 0, ended_ = 0;                      // that are to be trained; of them
  double began_ = 0;                                        // Unix seconds
  double useful_ = 0, failed_ = 0, lost_ = 0, crashed_ = 0;  // seconds of trials that are not in work any more
  double beat_ = 0, synced_ = 0;                             // seconds_now() of the last ones
};

}  // namespace winnow
