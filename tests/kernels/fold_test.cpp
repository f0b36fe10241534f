// A fold has one order, however its rows lie in memory.
#include "kernels/fold_rows.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/rng.h"

namespace winnow {
namespace {

template <class Load>
std::vector<float> folded(std::int64_t rows, std::int64_t cols, const Load& load, int threads) {
  std::vector<float> sums(static_cast<std::size_t>(rows)), partial(static_cast<std::size_t>(fold_partials(rows, cols)));
  fold_rows(Exec{.threads = threads}, rows, cols, 0.0f, load, Sum{}, StoreRow<float>{sums.data()}, partial.data());
  return sums;
}

TEST(FoldRows, NeighbouringRowsTogetherHaveTheBitsOfEachAlone) {
  constexpr std::int64_t kShapes[][2] = {{1, 9000}, {7, 31}, {16, 64}, {37, 4097}, {200, 5}};
  for (const auto& [rows, cols] : kShapes) {
    std::vector<float> x(static_cast<std::size_t>(rows * cols));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = normal_at({3, 1, 4}, i);
    std::vector<float> transposed(x.size());  // its rows lie apart
    for (std::int64_t i = 0; i < rows * cols; ++i) {
      transposed[static_cast<std::size_t>(i % rows * cols + i / rows)] = x[static_cast<std::size_t>(i)];
    }
    const auto one = folded(rows, cols, LoadRow<float>{transposed.data(), cols}, 1);
    for (const int threads : {1, 3}) {
      EXPECT_EQ(folded(rows, cols, LoadColumn<float>{x.data(), rows}, threads), one) << rows << " x " << cols;
    }
  }
}

}  // namespace
}  // namespace winnow
