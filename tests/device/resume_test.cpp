// A trial on a device that stops between steps and goes on in a fresh process, with programs and memory of its own, ends with
// the bits of one that was never stopped: what its copies on the host hold is then what the device had.
#include "tests/device/device_trial.h"
#include "tests/training/resumed.h"

namespace winnow::test {
namespace {

struct ResumeCase {
  std::string method, optimizer;
};
void PrintTo(const ResumeCase& of, std::ostream* out) { *out << of.method << "_" << of.optimizer; }

class ResumeOnDevice : public testing::TestWithParam<ResumeCase> {};

TEST_P(ResumeOnDevice, EndsWithTheSameBits) {
  const auto& [method, optimizer] = GetParam();
#if defined(WINNOW_EMULATED)
  machine_of(1);
#endif
  expect_equal_after_stops(recipe_of(find_method(method)), {1, 3, 2}, {{"optimizer", optimizer}}, open_device);
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

// Masks that stay, change and come with snapshots; factors of layers; scores in place of weights; two passes; moments.
INSTANTIATE_TEST_SUITE_P(Trials, ResumeOnDevice,
                         testing::Values(ResumeCase{"dense", "sgd"}, ResumeCase{"rigl", "sgd"},
                                         ResumeCase{"imp", "sgd"}, ResumeCase{"freezeout", "sgd"},
                                         ResumeCase{"edge_popup", "sgd"}, ResumeCase{"dense", "sam"},
                                         ResumeCase{"rigl", "adamw"}),
                         [](const auto& at) { return at.param.method + "_" + at.param.optimizer; });

}  // namespace
}  // namespace winnow::test
