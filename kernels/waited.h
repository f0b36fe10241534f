// How long a loop has waited, by its looks at the clock. In what is more than a second between two of them this process did not
// run: a job that was suspended has waited for nobody meanwhile. A plain value; one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace winnow {

class Waited {
 public:
  // Seconds since the first look.
  double look() {
    const Clock::time_point now = Clock::now();
    if (looked_) seconds_ += std::min(std::chrono::duration<double>(now - *looked_).count(), kMostBetweenLooks);
    looked_ = now;
    return seconds_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double kMostBetweenLooks = 1;

  std::optional<Clock::time_point> looked_;
  double seconds_ = 0;
};

}  // namespace winnow
