#include "distributed/deadline.h"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "core/error.h"
#include "distributed/launch.h"
#include "distributed/quiet_thread.h"
#include "kernels/waited.h"

namespace winnow {

Deadline::Deadline(std::string call, double seconds)
    : call_(std::move(call)), seconds_(seconds), thread_(start_quiet_thread([this] { watch(); })) {}

Deadline::~Deadline() {
  {
    const std::lock_guard lock(guard_);
    came_back_ = true;
  }
  over_.notify_one();
  thread_.join();
}

void Deadline::watch() {
  std::unique_lock lock(guard_);
  Waited clock;
  while (!over_.wait_for(lock, std::chrono::milliseconds(200), [this] { return came_back_; })) {
    if (clock.look() <= seconds_) continue;
    std::cerr << fmt::format(
                     "winnow: error: rank {}: {}: not done after {} s; another rank of the job did not come to it\n",
                     read_launch().rank, call_, seconds_)
              << std::flush;
    std::_Exit(static_cast<int>(ErrorKind::Unavailable));
  }
}

}  // namespace winnow
