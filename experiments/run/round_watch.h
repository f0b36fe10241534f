// How long ranks wait for each other at the end of a round. Others may train for hours, so the time limit of what a trial's
// ranks do together says nothing here: what counts is whether any heartbeat in the folder goes on. By what it says, not by its
// age: clocks of machines differ. Collective to make; borrows what it is given; one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/ranks_lost.h"
#include "experiments/results/files.h"
#include "kernels/waited.h"

namespace winnow {

class RoundWatch {
 public:
  // `patience`: seconds without a sign of life. Many times the limit within a trial, as an evaluation shows none.
  RoundWatch(Communicator& world, Files& files, std::filesystem::path out,
             double patience = kPatienceOfJob * rank_time_limit());

  void begin();  // every rank, as often as the others
  void look();   // while it waits, a few times a second or more. Throws RanksLost

 private:
  using Beat = std::pair<std::int64_t, std::int64_t>;  // when it was written, and the step
  bool sees_life();

  Files& files_;
  std::filesystem::path out_;
  std::unique_ptr<Attendance> attendance_;
  int rank_, size_;
  double patience_;
  std::int64_t round_ = -1, said_ = -1;
  Waited clock_;
  double looked_ = 0, alive_ = 0;                  // s of the clock: the last look at the folder, and sign of life
  std::optional<std::vector<std::string>> names_;  // of the heartbeats there were
  std::map<std::string, Beat> beats_;              // of those that were read
};

}  // namespace winnow
