#include "experiments/run/gpu_share.h"

#include <chrono>

namespace winnow {
namespace {

constexpr std::chrono::milliseconds kLookWhileWaiting{100};

}  // namespace

GpuShare::Seat::~Seat() {
  settled();
  hooks_.give_back();
  const Lock lock(share_.mutex_);
  let_go();
}

void GpuShare::Seat::hold() {
  if (!holds_) ++share_.changes_, ++share_.holders_;
  holds_ = true;
  alone_ = share_.holders_ == 1;
  since_ = share_.changes_;
}

void GpuShare::Seat::let_go() {
  if (!holds_) return;
  holds_ = false;
  --share_.holders_;
  ++share_.changes_;
  share_.given_back_ = true;
  share_.changed_.notify_all();
}

// Has its turn then, or (false) was told to stop.
bool GpuShare::Seat::wait_for_turn(Lock& lock, const std::function<void()>& meanwhile) {
  const auto my_turn = [&] {
    return share_.waiting_.front() == this && share_.trying_ == nullptr &&
           (!tried_ || share_.given_back_ || share_.holders_ == 0);
  };
  const auto leave = [&] {
    share_.waiting_.remove(this);
    share_.changed_.notify_all();
  };
  bool go_on = true;
  while (go_on && !my_turn()) {
    share_.changed_.wait_for(lock, kLookWhileWaiting);
    lock.unlock();
    try {
      meanwhile();
      go_on = hooks_.look();
    } catch (...) {
      lock.lock();
      leave();  // or those behind would wait for ever
      throw;
    }
    lock.lock();
  }
  leave();
  if (!go_on) return false;
  share_.given_back_ = false;
  share_.trying_ = this;
  hold();
  return true;
}

void GpuShare::Seat::before_trial() {
  Lock lock(share_.mutex_);
  tried_ = false;
  if (share_.waiting_.empty() && share_.trying_ == nullptr) return hold();
  share_.waiting_.push_back(this);
  lock.unlock();
  hooks_.give_back();
  lock.lock();
  let_go();
  wait_for_turn(lock, [] {});
}

void GpuShare::Seat::settled() {
  const Lock lock(share_.mutex_);
  if (share_.trying_ != this) return;
  share_.trying_ = nullptr;
  share_.changed_.notify_all();
}

bool GpuShare::Seat::wait_for_room(const std::function<void()>& meanwhile) {
  Lock lock(share_.mutex_);
  if (alone_ && since_ == share_.changes_) return false;
  // What it held before may be what others lack; what it got in a turn of its own was nothing more.
  const bool known = share_.given_back_;
  if (share_.trying_ == this) share_.trying_ = nullptr;
  tried_ ? share_.waiting_.push_front(this) : share_.waiting_.push_back(this);
  let_go();
  if (tried_) share_.given_back_ = known;
  tried_ = true;
  return wait_for_turn(lock, meanwhile);
}

}  // namespace winnow
