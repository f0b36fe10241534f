// The clock that durations are measured with.
#pragma once

#include <chrono>

namespace winnow {

// Seconds since some fixed moment; never goes back.
inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace winnow
