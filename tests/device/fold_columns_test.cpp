// Sums over rows on a device: the bits of the host, whichever block is the last one.
#include "kernels/fold_columns.h"

#include <gtest/gtest.h>

#include "core/memory.h"
#include "core/run_context.h"
#include "kernels/functors/batch_norm.h"
#include "kernels/rng.h"
#include "tests/device/emulated.h"

namespace winnow::test {
namespace {

// Mean, rstd and running statistics of a batch, four numbers a channel.
std::vector<float> statistics(RunContext context, std::int64_t rows, std::int64_t channels) {
  const ColumnFold fold{rows, channels};
  std::vector<float> x(static_cast<std::size_t>(rows * channels)), found(4 * static_cast<std::size_t>(channels), 1);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 5 + normal_at({3, 1, 4}, i);
  const std::vector<double> reals{1e-5, 0.1};
  const auto in = [&]<class T>(const std::vector<T>& of) {
    Memory memory(context.stream(), of.size() * sizeof(T));
    context.write(memory.get(), of.data(), of.size() * sizeof(T));
    return memory;
  };
  const Memory at_x = in(x), at_found = in(found), at_reals = in(reals),
               partial(context.stream(), sizeof(PairOf<float>) * fold.partials());
  const auto* numbers = reinterpret_cast<const float*>(at_x.get());
  const auto* real = reinterpret_cast<const double*>(at_reals.get());
  auto* to = reinterpret_cast<float*>(at_found.get());
  const Exec exec{context.device(), 1, context.stream() ? context.stream()->queue() : nullptr, nullptr,
                  context.state()};
  context.start({});
  for (int time = 0; time < 2; ++time) {  // counts of blocks are zero again after the first
    fold_columns(exec, fold, BatchNormSums<float>{numbers, channels},
                 StoreBatchStatistics<float>{numbers, rows, real, real + 1, to, to + channels, to + 2 * channels,
                                             to + 3 * channels, exec.run},
                 reinterpret_cast<PairOf<float>*>(partial.get()));
  }
  context.read(found.data(), to, found.size() * sizeof(float));
  return found;
}

TEST(FoldColumns, HasTheBitsOfTheHost) {
  // {3, 160}: scratch ends where memory does, and the last tile has places beyond it. The last two: more tiles than there are
  // counts of blocks, so that a block has several one after another; with several chunks, too.
  constexpr std::int64_t kShapes[][2] = {{1, 1},     {7, 3},   {131, 17}, {300, 132}, {9000, 4},
                                         {1500, 40}, {3, 160}, {3, 2081}, {40, 2081}};
  for (const auto& [rows, channels] : kShapes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << channels);
    const std::vector<float> expected = statistics(RunContext(1), rows, channels);
    in_every_order([&] { EXPECT_EQ(statistics(RunContext(open_device(), 1), rows, channels), expected); });
  }
}

TEST(FoldColumns, OrderIsAFunctionOfTheShapeThatFillsBlocks) {
  for (const std::int64_t channels : {1, 3, 16, 100, 640, 2048}) {
    for (const std::int64_t rows : {1, 100, 131072}) {
      const ColumnFold fold{rows, channels};
      EXPECT_LE(fold.tile * fold.lanes, ColumnFold::kThreads);
      EXPECT_GE(fold.tile * fold.vector * fold.chunk_lanes, 1);
      EXPECT_LE(fold.tile * fold.vector * fold.chunk_lanes, ColumnFold::kThreads);
      EXPECT_GE(fold.tiles * fold.tile * fold.vector, channels);
      EXPECT_GE(fold.chunks * fold.chunk_rows, rows);
      EXPECT_LT((fold.chunks - 1) * fold.chunk_rows, rows) << "an empty chunk";
      EXPECT_LE(fold.chunks * fold.tiles, 1024);
    }
  }
}

}  // namespace
}  // namespace winnow::test
