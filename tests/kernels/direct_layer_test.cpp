// What tests/core/device_kernel_test.cpp does not reach through ops.
#include "kernels/direct_layer.h"

#include <gtest/gtest.h>

#include "kernels/fold_rows.h"

namespace winnow {
namespace {

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
