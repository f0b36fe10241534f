#include "core/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/rng.h"

namespace winnow {
namespace {

TEST(MemoryPlan, NoTwoLiveBlocksOverlap) {
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    const RngKey key{trial, stream_id("memory_plan"), 0};
    std::vector<PlannedBlock> blocks(1 + below(key, 0, 60));
    std::uint64_t draw = 1;
    for (PlannedBlock& block : blocks) {
      block.bytes = below(key, draw++, 5000);
      block.first = below(key, draw++, 40);
      block.last = block.first + below(key, draw++, 15);
    }
    const std::size_t total = plan_memory(blocks);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const PlannedBlock& a = blocks[i];
      ASSERT_EQ(a.offset % 64, 0u);
      ASSERT_LE(a.offset + a.bytes, total);
      for (std::size_t j = 0; j < i; ++j) {
        const PlannedBlock& b = blocks[j];
        const bool both_alive = a.first <= b.last && b.first <= a.last;
        const bool overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
        ASSERT_FALSE(both_alive && overlap) << "trial " << trial << ", blocks " << i << " and " << j;
      }
    }
  }
}

TEST(MemoryPlan, ReusesMemoryOfDeadBlocks) {
  std::vector<PlannedBlock> blocks;
  for (std::size_t step = 0; step < 100; ++step) blocks.push_back({4096, step, step + 1});
  EXPECT_EQ(plan_memory(blocks), 2u * 4096) << "a chain needs two blocks at a time";
}

TEST(MemoryPlan, EmptyPlanNeedsNothing) {
  std::vector<PlannedBlock> blocks;
  EXPECT_EQ(plan_memory(blocks), 0u);
}

}  // namespace
}  // namespace winnow
