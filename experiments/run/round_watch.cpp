#include "experiments/run/round_watch.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "experiments/results/progress_file.h"

namespace winnow {

RoundWatch::RoundWatch(Communicator& world, Files& files, std::filesystem::path out, double patience)
    : files_(files),
      out_(std::move(out)),
      attendance_(world.attendance()),
      rank_(world.rank()),
      size_(world.size()),
      patience_(patience) {}

void RoundWatch::begin() {
  ++round_;
  now_ = looked_ = seconds_now();
  waited_ = 0;
}

void RoundWatch::look() {
  constexpr double kMostBetweenLooks = 1;  // s; in more this process did not run: a job that was suspended
  const double before = std::exchange(now_, seconds_now());
  waited_ += std::min(now_ - before, kMostBetweenLooks);
  if (now_ - looked_ < patience_ / 20) return;  // each looks, and there may be thousands
  looked_ = now_;
  if (sees_life()) waited_ = 0;
  // Not at once: a message from everybody to everybody is much in a large job.
  if (said_ != round_ && waited_ > patience_ / 2) attendance_->say(said_ = round_);
  if (waited_ <= patience_) return;
  throw RanksLost(fmt::format("the end of a round of {} ranks: no trial in {} has shown a sign of life for {} s; {}",
                              size_, out_.string(), patience_, who_is_absent(*attendance_, rank_, size_, round_)),
                  RanksLost::Why::Late);
}

bool RoundWatch::sees_life() const {
  const auto running = read_running(files_, out_, unix_now());
  return !std::ranges::all_of(running, &RunningTrial::stale);
}

}  // namespace winnow
