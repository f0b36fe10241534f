// Loops of one functor type over several ranges, as for_each() takes them: those of a model's tensors, one each. A device runs as
// many of them in a launch as its arguments hold, so that no table of them lies in memory. Plain values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace winnow {

// body(0) .. body(n-1).
template <class Body>
struct Loop {
  std::int64_t n;
  Body body;
};

// Arguments of a kernel are 4096 bytes on every GPU and driver; some are left for what else a kernel takes.
inline constexpr std::size_t kLoopBytes = 4000;
template <class Body>
inline constexpr std::size_t kLoopsAtOnce = kLoopBytes / (sizeof(Loop<Body>) + sizeof(unsigned));

// Calls run(part) for as many loops as are one launch. Empty ones are among them.
template <class Body, class Run>
void in_launches(std::span<const Loop<Body>> loops, const Run& run) {
  static_assert(kLoopsAtOnce<Body> > 0);
  for (std::size_t at = 0; at < loops.size(); at += kLoopsAtOnce<Body>) {
    const auto part = loops.subspan(at, std::min(kLoopsAtOnce<Body>, loops.size() - at));
    if (std::ranges::any_of(part, [](const Loop<Body>& loop) { return loop.n > 0; })) run(part);
  }
}

}  // namespace winnow
