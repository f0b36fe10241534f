#include "experiments/run/worker_lanes.h"

#include <system_error>

#include "experiments/run/stop_request.h"

namespace winnow {
namespace {

constexpr std::chrono::milliseconds kLookAtLanes{50};

}  // namespace

void WorkerLanes::start(int lanes) {
  const StopSignalsBlocked blocked;  // they are this thread's to note
  try {
    for (int i = 0; i < lanes; ++i) {
      threads_.emplace_back([this, lane = static_cast<int>(threads_.size())] {
        job_.train(lane);
        const std::lock_guard lock(mutex_);
        ++ended_;
        woken_ = true;
        changed_.notify_one();
      });
    }
  } catch (const std::system_error&) {  // a limit on threads: those there are do the work
    if (threads_.empty()) throw;
    no_more_ = true;
  }
}

void WorkerLanes::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

int WorkerLanes::run() {
  start(job_.all_at_once ? job_.most : count_.count());
  std::unique_lock lock(mutex_);
  while (ended_ < static_cast<int>(threads_.size())) {
    changed_.wait_for(lock, kLookAtLanes, [this] { return woken_; });
    woken_ = false;
    const bool may_grow = !job_.all_at_once && !no_more_ && !count_.settled() && ended_ == 0;
    lock.unlock();
    job_.look();
    if (may_grow) grow();
    lock.lock();
  }
  lock.unlock();
  for (std::thread& thread : threads_) thread.join();
  return static_cast<int>(threads_.size());
}

// A window begins when all lanes train, and may reach over ends and beginnings of trials.
void WorkerLanes::grow() {
  const Clock::time_point now = Clock::now();
  if (!measuring_) {
    if (job_.meter.training() < count_.count()) return;
    measuring_ = true;
    since_ = now;
    done_before_ = job_.meter.done();
    return;
  }
  if (now - since_ < job_.window) return;
  measuring_ = false;
  const int before = count_.count();
  const double seconds = std::chrono::duration<double>(now - since_).count();
  count_.measured((job_.meter.done() - done_before_) / seconds, job_.room());
  start(count_.count() - before);
}

}  // namespace winnow
