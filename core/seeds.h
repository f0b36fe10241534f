// The seeds of a trial's named random streams (see experiments/sweep for how they follow from its identity).
#pragma once

#include <cstdint>

namespace winnow {

struct TrialSeeds {
  std::uint64_t init = 0, data_order = 0, augment = 0, method = 0, dropout = 0;
};

}  // namespace winnow
