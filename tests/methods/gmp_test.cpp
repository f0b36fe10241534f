#include "experiments/methods/gmp.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/error.h"
#include "experiments/methods/registry.h"

namespace winnow {
namespace {

TEST(Gmp, CubicMatchesSpecificationOracle) {
  const std::vector<std::pair<double, double>> from0 = {{0, 0},      {.1, .2439},    {.25, .520312},
                                                        {.5, .7875}, {.75, .885938}, {1, .9}};
  for (const auto& [p, s] : from0) EXPECT_NEAR(gmp_sparsity(p, 0, .9, 3), s, 6e-7) << p;
  const std::vector<std::pair<double, double>> from50 = {{0, .5},   {.1, .6084},   {.25, .73125},
                                                         {.5, .85}, {.75, .89375}, {1, .9}};
  for (const auto& [p, s] : from50) EXPECT_NEAR(gmp_sparsity(p, .5, .9, 3), s, 6e-7) << p;
  EXPECT_EQ(gmp_sparsity(1, 0, .9, 3), .9);
}

TEST(Gmp, ScheduleMatchesSpecificationOracle) {
  const GmpSchedule at = GmpSchedule::between(20000, 76000, 2000);
  EXPECT_EQ(at.updates, 28);
  const std::vector<std::pair<std::int64_t, double>> oracle = {
      {22000, .093026}, {48000, .7875}, {74000, .899959}, {76000, .9}};
  for (const auto& [t, s] : oracle) {
    EXPECT_TRUE(at.rule().contains(t));
    EXPECT_NEAR(gmp_sparsity(at.progress(t), 0, .9, 3), s, 6e-7) << t;
  }
  for (const std::int64_t t : {0, 18000, 21000, 78000}) EXPECT_FALSE(at.rule().contains(t)) << t;
}

TEST(Gmp, AShortRunStillReachesItsDensity) {
  const GmpSchedule two = GmpSchedule::between(2, 7, 100);
  EXPECT_TRUE(two.rule().contains(2) && two.rule().contains(7) && !two.rule().contains(4));
  EXPECT_EQ(two.progress(7), 1);
  const GmpSchedule one = GmpSchedule::between(3, 3, 100);
  EXPECT_TRUE(one.rule().contains(3) && !one.rule().contains(2));
  EXPECT_EQ(one.progress(3), 1);
}

TEST(Gmp, AnIntervalThatDoesNotDivideEndsEarlyAtTheDensity) {
  const GmpSchedule at = GmpSchedule::between(0, 250, 100);
  EXPECT_TRUE(at.rule().contains(200));
  EXPECT_FALSE(at.rule().contains(250));
  EXPECT_EQ(at.progress(200), 1);
}

TEST(Gmp, ABeginAfterTheEndIsRefused) {
  const auto make = [](const char* begin, const char* end) {
    const MethodDef& def = find_method("gmp");
    def.make(resolve(def.schema, Settings({{"density", "0.1"}, {"begin", begin}, {"end", end}})));
  };
  make("0.5", "0.5");
  EXPECT_THROW(make("0.8", "0.75"), Error);
}

}  // namespace
}  // namespace winnow
