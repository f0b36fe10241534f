// Places blocks with known lifetimes into one arena. A pure function: the same plan on every rank.
#pragma once

#include <cstddef>
#include <vector>

namespace winnow {

struct PlannedBlock {
  std::size_t bytes = 0;
  std::size_t first = 0, last = 0;  // steps between which it is alive, both included
  std::size_t offset = 0;           // result
};

// Largest first, each at the lowest free offset; returns the arena's size. Offsets are multiples of 64.
std::size_t plan_memory(std::vector<PlannedBlock>& blocks);

}  // namespace winnow
