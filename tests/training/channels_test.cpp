// A whole trial whose network loses channels: what its result counts, stores and gives back.
#include <gtest/gtest.h>

#include <algorithm>

#include "experiments/results/files.h"
#include "experiments/results/trial_file.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::result_of;
using test::spec_of;

const TrialResult& slimmed() {
  static const TrialResult result = result_of("{name: slimming, prune: 0.5, scope: layer, l1: 1e-3, fine_tune: 1ep}",
                                              "epochs: 2, batch: 32, lr: 0.02, precision: f32", "", "resnet20", 16);
  return result;
}

double sum_of(const TrialResult& result, const std::string& name) {
  const auto column = std::ranges::find(result.layers.columns, name, &Column::name);
  double sum = 0;
  for (const std::int64_t value : std::get<std::vector<std::int64_t>>(column->values)) {
    sum += static_cast<double>(value);
  }
  return sum;
}

TEST(SlimmedTrial, CountsTheNetworkThatIsLeftAgainstTheWholeOne) {
  const TrialResult& result = slimmed();
  ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
  const auto value = [&](const char* name) { return result.summary.at(name); };
  // Half of the channels of each layer: 8, 16 and 32, as in ResNet-20 of half the width, and the images' own channel.
  const double first = 8 * 9, stage1 = 6 * 8 * 8 * 9, stage2 = 16 * 8 * 9 + 5 * 16 * 16 * 9,
               stage3 = 32 * 16 * 9 + 5 * 32 * 32 * 9, last = 10 * 32;
  const double weights = first + stage1 + stage2 + stage3 + last, norms = 2 * (7 * 8 + 6 * 16 + 6 * 32);
  EXPECT_EQ(value("params.kept"), weights + norms + 10);
  EXPECT_EQ(value("params.total"), 268336 - 2 * 144 + 1376 + 10);
  EXPECT_EQ(value("density"), weights / (268336 - 2 * 144));
  EXPECT_EQ(value("macs.sparse"), 256 * (first + stage1) + 64 * stage2 + 16 * stage3 + last);
  EXPECT_EQ(value("stored.bits"), 32 * value("params.kept"));
  EXPECT_EQ(value("params.trained"), value("params.kept"));
  EXPECT_EQ(value("method.channels"), 200);
  EXPECT_EQ(value("method.channels_before"), 400);
  EXPECT_EQ(value("dim.max"), 268336 - 2 * 144);
  EXPECT_EQ(value("dim.union"), value("dim.max"));
  // Two epochs of the whole network and one of what is left.
  const double whole = value("macs.dense"), left = value("macs.sparse");
  EXPECT_NEAR(value("flops.train_ratio"), (2 * whole + left) / (2 * whole), 1e-12);
  EXPECT_EQ(sum_of(result, "numel"), value("params.kept"));
  EXPECT_EQ(sum_of(result, "macs"), left);
}

TEST(SlimmedTrial, StoresTheSmallTensorsAndWhatIsLeft) {
  const TrialResult& result = slimmed();
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("winnow-slim-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  PosixFiles files;
  publish(files, folder, result);
  std::filesystem::path path;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "trials")) {
    if (entry.path().extension() == ".h5") path = entry.path();
  }
  std::size_t smaller = 0;
  for (const WeightRecord& weight : load_weights(path)) {
    const auto kept = std::ranges::find(result.weights, weight.name, &WeightRecord::name);
    EXPECT_EQ(weight.values, kept->values) << weight.name;
    EXPECT_EQ(weight.left, kept->left) << weight.name;
    EXPECT_EQ(weight.whole, kept->whole) << weight.name;
    if (weight.left.empty()) continue;
    ++smaller;
    for (int dim = 0; dim < weight.shape.rank(); ++dim) {
      const auto& left = weight.left[static_cast<std::size_t>(dim)];
      EXPECT_EQ(weight.shape[dim], left.empty() ? weight.whole[dim] : std::ssize(left)) << weight.name;
    }
  }
  EXPECT_EQ(smaller, 20u + 4 * 19u);  // layers, and scales, shifts, means and variances; the bias of the last has all
  // Half a network is no start of a whole one.
  const TrialResult next = result_of(spec_of("{name: dense}", "epochs: 1it, batch: 32, lr: 0.02",
                                             "  init: {from: " + path.string() + "}\n", "resnet20", 16));
  EXPECT_EQ(next.outcome, Outcome::Failed);
  EXPECT_NE(next.reason.find("lost channels"), std::string::npos) << next.reason;
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace winnow
