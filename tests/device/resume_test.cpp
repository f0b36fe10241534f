// A trial on a device that stops between steps and goes on in a fresh process, with programs and memory of its own, ends with
// the bits of one that was never stopped: what its copies on the host hold is then what the device had.
#include "tests/device/device_trial.h"
#include "tests/training/resumed.h"

namespace winnow::test {
namespace {

struct ResumeCase {
  std::string name;
  Recipe recipe;
  std::string optimizer = "sgd";
  friend std::ostream& operator<<(std::ostream& out, const ResumeCase& of) { return out << of.name; }
};

class ResumeOnDevice : public testing::TestWithParam<ResumeCase> {};

TEST_P(ResumeOnDevice, EndsWithTheSameBits) {
#if defined(WINNOW_EMULATED)
  machine_of(1);
#endif
  expect_equal_after_stops(GetParam().recipe, {1, 3, 2}, {{"optimizer", GetParam().optimizer}}, open_device);
#if defined(WINNOW_EMULATED)
  expect_clean_machine();
#endif
}

TEST(ResumeOnDevice, EndsWithTheSameBitsWithStatisticsFromConvolutions) {
#if defined(WINNOW_EMULATED)
  machine_of(1);
#endif
  const Recipe recipe{"dense", "resnet20", {{"name", "dense"}}};
  expect_equal_after_stops(recipe, {1, 3, 2}, {{"fuse_statistics", "true"}, {"batch", "4"}}, open_device);
}

// Every method, as a new one brings it along; optimisers of two passes and of moments.
std::vector<ResumeCase> resumed() {
  std::vector<ResumeCase> all;
  for (const Recipe& recipe : each_method()) all.push_back({recipe.name, recipe});
  for (const auto& [method, optimizer] : {std::pair{"dense", "sam"}, {"rigl", "adamw"}}) {
    all.push_back({std::string(method) + "_" + optimizer, recipe_of(find_method(method)), optimizer});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Trials, ResumeOnDevice, testing::ValuesIn(resumed()),
                         [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace winnow::test
