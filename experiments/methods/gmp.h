// The pure parts of gradual magnitude pruning.
#pragma once

#include <cstdint>

#include "core/event_plan.h"

namespace winnow {

// Mask updates at begin, begin + interval, ..., begin + updates * interval.
struct GmpSchedule {
  std::int64_t begin = 0, interval = 1, updates = 1;

  // As many whole intervals as fit between the two; at least one update that reaches the end.
  static GmpSchedule between(std::int64_t begin, std::int64_t end, std::int64_t interval);
  StepRule rule() const;
  double progress(std::int64_t step) const;  // 0 at the first update, 1 at the last
};

// final + (initial - final) * (1 - progress)^exponent
double gmp_sparsity(double progress, double initial, double final, double exponent);

}  // namespace winnow
