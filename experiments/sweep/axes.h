// The `axes` of a sweep file as points: which settings each trial changes, in the file's order,
// first axis slowest. Points refer to entries owned by the Axes object, so they must not outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "experiments/sweep/entries.h"

namespace winnow {

struct Point {
  std::vector<const Entry*> entries;  // at most one per key
  std::vector<int> cases;             // which alternative of each `cases` axis: one smoke trial each
  std::optional<std::int64_t> replicate;
  // In place of the trial section's value, and like it read only by those whom it concerns.
  std::vector<const Entry*> replacing = {};
};

struct Axes {
  std::deque<Entry> entries;
  std::vector<Point> points;           // a single empty point if there are no axes
  std::vector<std::string> notes;      // for the plan: what a reader may not expect
  std::vector<std::string> case_keys;  // what the `cases` choose: "method.name"
};

// `list` may be null (no axes). Axes that cannot be read are left out and reported, and all of them
// are if there are more points than a sweep may have.
Axes expand_axes(const NodePtr& list, Diagnostics& problems);
// One more axis, the fastest, over values of one key that the trial section has too: the first is
// that of the section itself.
void add_axis(Axes& axes, const std::vector<Entry>& values, Diagnostics& problems);

}  // namespace winnow
