// What the kernels ask of the processor.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/processor.h"

namespace winnow::test {
namespace {

#if defined(__SSE__)  // flush_denormals has no switch to turn on other processors
TEST(Denormals, CountAsZeroInEveryThreadOfTheTeam) {
  constexpr int kThreads = 3;
  flush_denormals(kThreads);
  volatile float least = std::numeric_limits<float>::min();
  std::vector<float> halves(kThreads, -1);
#pragma omp parallel for schedule(static) num_threads(kThreads)
  for (int i = 0; i < kThreads; ++i) halves[static_cast<std::size_t>(i)] = least * 0.5f;
  EXPECT_EQ(halves, std::vector<float>(kThreads, 0.0f));
}
#endif

}  // namespace
}  // namespace winnow::test
