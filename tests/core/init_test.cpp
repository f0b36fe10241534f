#include "core/init.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

using InitKind = InitSpec::Kind;
constexpr std::int64_t kFanIn = 50, kFanOut = 20;
const RngKey kKey{12345, stream_id("init/conv1.weight"), 0};

InitSpec spec_of(InitKind kind, double value = 0) { return {kind, value, kFanIn, kFanOut}; }

std::vector<float> drawn(const InitSpec& spec, std::size_t count = 200000, const RngKey& key = kKey) {
  std::vector<float> values(count);
  generate(spec, key, values);
  return values;
}

struct Moments {
  double mean = 0, variance = 0, largest = 0;
};
Moments moments_of(const std::vector<float>& values) {
  Moments m;
  for (const float v : values) m.mean += v;
  m.mean /= static_cast<double>(values.size());
  for (const float v : values) {
    m.variance += (v - m.mean) * (v - m.mean);
    m.largest = std::max(m.largest, std::fabs(static_cast<double>(v)));
  }
  m.variance /= static_cast<double>(values.size());
  return m;
}

struct Expected {
  InitKind kind;
  double value, variance, bound;
};
const double kUnbounded = std::numeric_limits<double>::infinity();
const Expected kExpected[] = {
    {InitKind::Normal, 0.3, 0.09, kUnbounded},
    {InitKind::Uniform, 0.3, 0.03, 0.3},
    {InitKind::KaimingNormal, 0, 2.0 / kFanIn, kUnbounded},
    {InitKind::KaimingNormal, 2, 8.0 / kFanIn, kUnbounded},
    {InitKind::KaimingUniform, 0, 2.0 / kFanIn, std::sqrt(6.0 / kFanIn)},
    {InitKind::TorchDefault, 0, 1.0 / (3 * kFanIn), 1 / std::sqrt(double{kFanIn})},
    {InitKind::XavierNormal, 0, 2.0 / (kFanIn + kFanOut), kUnbounded},
    {InitKind::SignedKaiming, 0, 2.0 / kFanIn, std::sqrt(2.0 / kFanIn)},
    {InitKind::SignedXavier, 0, 2.0 / (kFanIn + kFanOut), std::sqrt(2.0 / (kFanIn + kFanOut))},
};

TEST(Init, MeanVarianceAndBoundFollowTheDefinition) {
  for (const Expected& expected : kExpected) {
    SCOPED_TRACE(name_of(expected.kind));
    const Moments m = moments_of(drawn(spec_of(expected.kind, expected.value)));
    EXPECT_NEAR(m.mean, 0, 5 * std::sqrt(expected.variance / 200000));
    EXPECT_NEAR(m.variance, expected.variance, 0.02 * expected.variance);
    EXPECT_LE(m.largest, expected.bound * (1 + 1e-6));
    if (expected.bound < kUnbounded) {
      EXPECT_GT(m.largest, 0.999 * expected.bound);
    }
  }
}

TEST(Init, ConstantAndSignedValuesAreExact) {
  for (const float v : drawn(spec_of(InitKind::Constant, 0.7), 100)) EXPECT_EQ(v, 0.7f);
  for (const float v : drawn(spec_of(InitKind::SignedKaiming), 100)) {
    EXPECT_EQ(std::fabs(v), static_cast<float>(std::sqrt(2.0 / kFanIn)));
  }
}

TEST(Init, AnElementDependsOnlyOnTheKeyAndItsNumber) {
  for (const Expected& expected : kExpected) {
    SCOPED_TRACE(name_of(expected.kind));
    const InitSpec spec = spec_of(expected.kind, expected.value);
    const auto all = drawn(spec, 1001);
    const auto some = drawn(spec, 13);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
    EXPECT_EQ(all, drawn(spec, 1001));
    EXPECT_NE(all, drawn(spec, 1001, {kKey.seed + 1, kKey.stream, kKey.step}));
    EXPECT_NE(all, drawn(spec, 1001, {kKey.seed, kKey.stream + 1, kKey.step}));
    EXPECT_NE(all, drawn(spec, 1001, {kKey.seed, kKey.stream, kKey.step + 1}));
  }
}

TEST(Init, FansCountTheWindow) {
  InitSpec spec;
  set_fans(spec, {64, 32, 3, 5});
  EXPECT_EQ(spec.fan_in, 32 * 15);
  EXPECT_EQ(spec.fan_out, 64 * 15);
  set_fans(spec, {300, 784});
  EXPECT_EQ(spec.fan_in, 784);
  EXPECT_EQ(spec.fan_out, 300);
  EXPECT_THROW(set_fans(spec, {300}), Error);
}

TEST(Init, NamesGoBothWaysAndAWrongOneListsTheRest) {
  for (const Expected& expected : kExpected) EXPECT_EQ(init_kind(name_of(expected.kind)), expected.kind);
  try {
    init_kind("xavier");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Settings);
    EXPECT_NE(std::string(error.what()).find("xavier_normal"), std::string::npos);
  }
}

TEST(Init, AMissingFanIsNoticed) {
  std::vector<float> values(4);
  EXPECT_THROW(generate({InitKind::KaimingNormal, 0, 0, 0}, kKey, values), Error);
}

}  // namespace
}  // namespace winnow
