// The threads that compute on the CPU. Here they are started, and nowhere else: work is shared out by index, so results
// do not depend on who computes what. Thread-safe; a caller that is such a thread itself must ask for one thread.
#pragma once

#include <algorithm>
#include <cstdint>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
// The checker sees neither OpenMP's own memory nor its barriers: this function is not checked, what it calls is, and the
// barriers are told.
#define WINNOW_TEAM_LEADER __attribute__((noinline, no_sanitize("thread")))
#define WINNOW_HAND_OVER(place) __tsan_release(place)
#define WINNOW_TAKE_OVER(place) __tsan_acquire(place)
#else
#define WINNOW_TEAM_LEADER
#define WINNOW_HAND_OVER(place) static_cast<void>(place)
#define WINNOW_TAKE_OVER(place) static_cast<void>(place)
#endif

namespace winnow {

// Calls run(part) for part in [0, parts), each on a thread of its own; with one part on the caller's.
template <class Run>
WINNOW_TEAM_LEADER void on_threads(int parts, const Run& run) {
  if (parts <= 1) {
    run(0);
    return;
  }
  char place = 0;
  WINNOW_HAND_OVER(&place);
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; ++part) {
    WINNOW_TAKE_OVER(&place);
    run(part);
    WINNOW_HAND_OVER(&place);
  }
  WINNOW_TAKE_OVER(&place);
}

// Calls run(part, begin, end) with contiguous ranges of [0, n) that differ in length by one at most; part < threads.
template <class Run>
void share_out(int threads, std::int64_t n, const Run& run) {
  const std::int64_t parts = std::max<std::int64_t>(1, std::min<std::int64_t>(threads, n));
  on_threads(static_cast<int>(parts), [&](int part) { run(part, n * part / parts, n * (part + 1) / parts); });
}

// Calls body(i) for i in [0, n).
template <class Body>
void share_loop(int threads, std::int64_t n, const Body& body) {
  share_out(threads, n, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace winnow
