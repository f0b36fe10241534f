// How long ranks wait for each other at the end of a round. Others may train for hours, so the time limit of what a trial's
// ranks do together says nothing here: what counts is whether any trial of the folder shows signs of life. Collective to
// make; borrows what it is given; one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "distributed/communicator.h"
#include "distributed/ranks_lost.h"
#include "experiments/results/files.h"

namespace winnow {

class RoundWatch {
 public:
  // `patience`: seconds without a sign of life. Many times the limit within a trial, as an evaluation shows none.
  RoundWatch(Communicator& world, Files& files, std::filesystem::path out, double patience = 6 * rank_time_limit());

  void begin();  // every rank, as often as the others
  void look();   // while it waits, a few times a second or more. Throws RanksLost

 private:
  bool sees_life() const;

  Files& files_;
  std::filesystem::path out_;
  std::unique_ptr<Attendance> attendance_;
  int rank_, size_;
  double patience_;
  std::int64_t round_ = -1, said_ = -1;
  double now_ = 0, looked_ = 0, waited_ = 0;  // s; since the last sign of life
};

}  // namespace winnow
