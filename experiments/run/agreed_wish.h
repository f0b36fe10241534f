// What the ranks of a trial do before their next step: go on, save or stop, all at the same one. A word reaches one of
// them first; they compare notes about twice a second, after a number of steps that all of them work out from the slowest
// one's time. One object on each rank, used by the thread that trains.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "distributed/communicator.h"
#include "distributed/train_observer.h"

namespace winnow {

class AgreedWish {
 public:
  // `own`: what this rank has been told, cheap enough for every step.
  AgreedWish(Communicator& group, std::function<Wish()> own) : group_(group), own_(std::move(own)) {}
  // The strongest wish of any rank. Collective, before every step.
  Wish operator()();

 private:
  static constexpr std::uint64_t kCompareEvery = 500'000;  // microseconds
  Communicator& group_;
  std::function<Wish()> own_;
  std::uint64_t interval_ = 1, steps_ = 0;  // steps between two comparisons, and since the last
  std::chrono::steady_clock::time_point compared_ = std::chrono::steady_clock::now();
};

}  // namespace winnow
