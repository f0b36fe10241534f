// What tests/core/device_kernel_test.cpp does not reach through ops: the bias that layers of vendors leave out, and a name.
#include "kernels/direct_layer.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/direct_layer.h"

namespace winnow {
namespace {

template <class T>
void expect_bias_added() {
  constexpr std::int64_t kRows = 5, kOut = 3;
  const float bias[kOut] = {1, -2, 0.5f};
  std::vector<T> y;
  for (std::int64_t i = 0; i < kRows * kOut; ++i) y.push_back(from_float<T>(static_cast<float>(i)));
  for_each(Exec{}, kRows * kOut, AddBias<T>{bias, y.data(), kOut});
  for (std::int64_t i = 0; i < kRows * kOut; ++i) {
    EXPECT_EQ(to_float(y[static_cast<std::size_t>(i)]), static_cast<float>(i) + bias[i % kOut]) << i;
  }
}

TEST(DirectLayer, BiasIsAddedToEveryRow) {
  expect_bias_added<float>();
  expect_bias_added<bf16>();
}

// Forward and data gradient are one sum an element; folds of many pixels need memory.
TEST(DirectLayer, AsksForScratchWhereFoldsHaveChunks) {
  const LinearShape few{10, 7, 3, DType::F32, true}, many{3 * kFoldChunk, 7, 3, DType::F32, true};
  EXPECT_EQ(DirectLayer(many, Direction::Forward).scratch_bytes(), 0u);
  EXPECT_EQ(DirectLayer(many, Direction::BackwardData).scratch_bytes(), 0u);
  EXPECT_EQ(DirectLayer(few, Direction::BackwardWeights).scratch_bytes(), 0u);
  EXPECT_EQ(DirectLayer(many, Direction::BackwardWeights).scratch_bytes(), 3u * 21 * sizeof(float));
  EXPECT_EQ(DirectLayer(few, Direction::Forward).implementation(), "direct");
}

}  // namespace
}  // namespace winnow
