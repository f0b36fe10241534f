// What a group of ranks takes up next of a list that all groups share. Trials that need no other are handed out by ticket,
// in the order of the list; one that needs others goes to the first group that finds these done and has nothing of the
// former kind to do. Used by one rank of a group; borrows all it is given.
//
// A dependent trial is woken by the last of its needs that is found done, so that what a look costs does not grow with the
// number of those that wait.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/run/postponed.h"
#include "experiments/trial_table.h"

namespace winnow {

class Draw {
 public:
  virtual ~Draw() = default;
  // The position of a trial that is this group's from now on. Nothing: there is none now.
  virtual std::optional<std::size_t> next() = 0;
  // After next() gave nothing: will it again? Until then what is left waits for trials that somebody has in work.
  virtual bool over() = 0;
};

class TrialDraw final : public Draw {
 public:
  struct Job {
    const TrialTable& trials;
    Files& files;
    const std::filesystem::path& out;
    std::span<Postponed> postponed;  // by trial
    std::span<const int> depths;     // by trial: NeedOrder::depth
    int settled;  // what trials up to this depth need has ended in this run, or will not be trained by it
    const std::atomic<bool>* any_died = nullptr;  // a process of this round, with what it had in hand
  };
  // `list`: positions in `trials`; those that need nothing and lie behind some that do are left for when these are
  // taken, or wait.
  TrialDraw(const Job& job, std::span<const std::size_t> list, Tickets& tickets);
  // How many counters its tickets must have.
  static std::size_t counters(const TrialTable& trials, std::span<const std::size_t> list);

  std::optional<std::size_t> next() override;
  bool over() override;

 private:
  struct Dependent {  // its place in dependents_, from 1, is its counter
    std::size_t at;
    std::size_t needs;  // that are not known to be done
  };
  struct Need {
    std::string trial;
    std::vector<std::size_t> waiting;  // places in dependents_
    bool done = false;
  };
  std::optional<std::size_t> next_dependent();
  std::optional<std::size_t> draw_ready();
  void look();
  void look_at(Need& need);

  Job job_;
  Tickets& tickets_;
  std::vector<std::size_t> independent_;
  std::size_t first_ = 0;            // of them: before all that need others
  bool handed_out_ = false;          // all of them are
  std::optional<std::size_t> held_;  // drawn, for when no other is ready
  std::vector<Dependent> dependents_;
  std::set<std::size_t> ready_;  // of dependents_: nothing is missing, and no ticket drawn
  std::size_t open_ = 0;         // of dependents_: no ticket drawn
  std::vector<Need> needs_;      // each once, in the order of the list
  std::unordered_map<std::string, std::size_t> by_name_;
  std::set<std::size_t> coming_;  // of needs_: seen in work
  std::size_t turn_ = 0;          // of needs_: looked at next
  std::size_t unseen_ = 0;        // of needs_: not looked at since one was found done
  std::chrono::steady_clock::time_point looked_ = {}, hope_ends_;
};

}  // namespace winnow
