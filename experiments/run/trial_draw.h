// What a group of ranks takes up next of a list that all groups share. Trials that need no other are handed out by ticket,
// in the order of the list; one that needs others goes to the first group that finds these done and has nothing of the
// former kind to do. Used by one rank of a group; borrows all it is given.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/trial.h"

namespace winnow {

// What became of a trial of the list. The greater counts where groups say different things. Waiting: what it needs was
// not done; Taken: a group dealt with it; InWorkElsewhere: another run had it in work when its turn came.
enum Postponed : std::uint64_t { kUntouched, kWaiting, kTaken, kInWorkElsewhere };
void note(std::uint64_t& place, Postponed what);  // by any number of processes at once

class TrialDraw {
 public:
  struct Job {
    std::span<const TrialSpec> trials;
    Files& files;
    const std::filesystem::path& out;
    std::span<std::uint64_t> postponed;  // by trial
    std::span<const int> depths;         // by trial: NeedOrder::depth
    int settled;  // what trials up to this depth need has ended in this run, or will not be trained by it
  };
  // `list`: positions in `trials`; those that need nothing and lie behind some that do are left for when these are
  // taken, or wait.
  TrialDraw(const Job& job, std::span<const std::size_t> list, Tickets& tickets);
  // How many counters its tickets must have.
  static std::size_t counters(std::span<const TrialSpec> trials, std::span<const std::size_t> list);

  // The position of a trial that is this group's from now on. Nothing: there is none now.
  std::optional<std::size_t> next();
  // After next() gave nothing: will it again? Until then what is left waits for trials that somebody has in work.
  bool over() const;

 private:
  struct Dependent {
    std::size_t at, counter;
  };
  bool is_ready(const TrialSpec& spec, int depth);
  std::optional<std::size_t> next_dependent();
  bool is_done(const std::string& trial);
  bool is_coming(const std::string& trial);

  Job job_;
  Tickets& tickets_;
  std::vector<std::size_t> independent_;
  std::size_t first_ = 0;            // of them: before all that need others
  bool handed_out_ = false;          // all of them are
  std::optional<std::size_t> held_;  // drawn, for when no other is ready
  std::vector<Dependent> open_;
  std::set<std::string> done_;
  std::chrono::steady_clock::time_point hope_ends_;
};

}  // namespace winnow
