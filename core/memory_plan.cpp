#include "core/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace winnow {

std::size_t plan_memory(std::vector<PlannedBlock>& blocks) {
  constexpr std::size_t kAlign = 64;
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  std::size_t total = 0;
  for (const std::size_t at : order) {
    PlannedBlock& block = blocks[at];
    block.bytes = (block.bytes + kAlign - 1) / kAlign * kAlign;
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      const PlannedBlock& o = blocks[other];
      if (o.last < block.first || block.last < o.first) continue;
      if (offset + block.bytes <= o.offset) break;
      offset = std::max(offset, o.offset + o.bytes);
    }
    block.offset = offset;
    total = std::max(total, offset + block.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), at,
                                   [&](auto a, auto b) { return blocks[a].offset < blocks[b].offset; }),
                  at);
  }
  return total;
}

}  // namespace winnow
