#include "experiments/run/agreed_wish.h"

#include <algorithm>

namespace winnow {

Wish AgreedWish::operator()() {
  const Wish mine = own_();  // at every step, so that a word to stop is passed on at once
  if (group_.size() == 1) return mine;
  if (++steps_ < interval_) return Wish::GoOn;
  const auto now = std::chrono::steady_clock::now();
  const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(now - compared_).count();
  std::uint64_t notes[] = {static_cast<std::uint64_t>(mine), static_cast<std::uint64_t>(spent)};
  group_.all_reduce_max(notes);
  const std::uint64_t fitting = kCompareEvery * interval_ / std::max<std::uint64_t>(notes[1], 1);
  interval_ = std::clamp<std::uint64_t>(fitting, 1, 4 * interval_);
  steps_ = 0;
  compared_ = std::chrono::steady_clock::now();
  return static_cast<Wish>(notes[0]);
}

}  // namespace winnow
