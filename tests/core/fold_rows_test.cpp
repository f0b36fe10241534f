#include "kernels/fold_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/rng.h"

namespace winnow {

// Not in the unnamed namespace: fold_rows names it in a declaration for other devices.
struct Max {
  float operator()(float a, float b) const { return a > b ? a : b; }
};

namespace {

std::vector<float> random_values(std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = uniform_at({1, stream_id("fold"), 0}, i) - 0.3f;
  return values;
}

std::vector<float> row_sums(int threads, const std::vector<float>& x, std::int64_t rows, std::int64_t cols) {
  std::vector<float> sums(static_cast<std::size_t>(rows)), partial(static_cast<std::size_t>(fold_partials(rows, cols)));
  fold_rows({.threads = threads}, rows, cols, 0.0f, LoadRow<float>{x.data(), cols}, Sum{}, StoreRow<float>{sums.data()},
            partial.data());
  return sums;
}

struct FoldShape {
  std::int64_t rows, cols;
};
const FoldShape kShapes[] = {
    {1, 0},      {1, 1}, {3, 31}, {5, 32}, {7, 33}, {2, kFoldChunk}, {2, kFoldChunk + 1}, {4, 5 * kFoldChunk + 77},
    {1, 1000003}};

TEST(FoldRows, SumsAgreeWithDoublePrecision) {
  for (const auto& [rows, cols] : kShapes) {
    const std::vector<float> x = random_values(rows * cols), sums = row_sums(1, x, rows, cols);
    for (std::int64_t row = 0; row < rows; ++row) {
      double exact = 0;
      for (std::int64_t col = 0; col < cols; ++col)
        exact += static_cast<double>(x[static_cast<std::size_t>(row * cols + col)]);
      EXPECT_NEAR(static_cast<double>(sums[static_cast<std::size_t>(row)]), exact, 1e-6 * static_cast<double>(cols + 1))
          << rows << " x " << cols;
    }
  }
}

TEST(FoldRows, ThreadCountDoesNotChangeABit) {
  for (const auto& [rows, cols] : kShapes) {
    const std::vector<float> x = random_values(rows * cols), one = row_sums(1, x, rows, cols);
    for (const int threads : {2, 3, 8}) EXPECT_EQ(row_sums(threads, x, rows, cols), one) << rows << " x " << cols;
  }
}

TEST(FoldRows, ARowDoesNotDependOnItsNeighbours) {
  const std::int64_t cols = kFoldChunk + 100;
  const std::vector<float> x = random_values(3 * cols), second(x.begin() + cols, x.begin() + 2 * cols);
  EXPECT_EQ(row_sums(1, x, 3, cols)[1], row_sums(1, second, 1, cols)[0]);
}

TEST(FoldRows, FoldsWithAnyAssociativeOperation) {
  const std::vector<float> x{3, -1, 9, 4, 5, 5};
  float top[2];
  fold_rows({}, 2, 3, -INFINITY, LoadRow<float>{x.data(), 3}, Max{}, StoreRow<float>{top},
            static_cast<float*>(nullptr));
  EXPECT_EQ(top[0], 9);
  EXPECT_EQ(top[1], 5);
}

}  // namespace
}  // namespace winnow
