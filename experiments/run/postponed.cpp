#include "experiments/run/postponed.h"

#include <atomic>

namespace winnow {

void note(Postponed& place, Postponed what) {
  static_assert(std::atomic_ref<Postponed>::is_always_lock_free, "processes share it");
  const std::atomic_ref<Postponed> most(place);
  for (Postponed seen = most; seen < what && !most.compare_exchange_weak(seen, what);) {
  }
}

void take_up(Postponed& place) { std::atomic_ref(place).store(Postponed::Taken); }

Postponed seen(Postponed& place) { return std::atomic_ref<Postponed>(place); }

}  // namespace winnow
