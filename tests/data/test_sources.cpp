#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "experiments/data/batch_queue.h"
#include "experiments/data/image_dataset.h"
#include "experiments/data/image_sources.h"
#include "tests/data/fixtures.h"

namespace winnow {
namespace {

constexpr std::int64_t kExamples = 50, kTest = 23, kSide = 4;

// Image i is filled with the byte i, so that a row tells which example it is; its label is i % 7.
std::shared_ptr<const ImageData> numbered() {
  ImageData data;
  data.shape = {kSide, kSide, 1, 7};
  const auto fill = [](ImageSplit& split, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      split.pixels.insert(split.pixels.end(), kSide * kSide, static_cast<std::uint8_t>(i));
      split.labels.push_back(static_cast<std::int32_t>(i % 7));
    }
  };
  fill(data.train, kExamples);
  fill(data.test, kTest);
  return std::make_shared<const ImageData>(std::move(data));
}

ImageDataset dataset(ImageOptions options, bool ahead = false) {
  options.normalise = false;
  ImageDataset data({"numbered", {}, {}}, options, numbered());
  data.read_ahead(ahead);
  return data;
}

// Example numbers of a batch, read from pixel (0, 0); checks that the labels belong to them.
std::vector<std::int64_t> numbers(const Batch& batch) {
  std::vector<std::int64_t> out;
  for (std::int64_t row = 0; row < batch.labels.numel(); ++row) {
    const float pixel = batch.images.as<float>()[row * kSide * kSide];
    out.push_back(std::lround(pixel * 255.0f));
    if (batch.labels.as<std::int32_t>()[row] >= 0) {
      EXPECT_EQ(batch.labels.as<std::int32_t>()[row], out.back() % 7);
    }
  }
  return out;
}

void append(std::vector<std::int64_t>& to, const std::vector<std::int64_t>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<std::int64_t> epoch_numbers(BatchSource& source, std::int64_t epoch) {
  std::vector<std::int64_t> all;
  const std::int64_t count = source.batches_per_epoch();
  for (std::int64_t i = 0; i < count; ++i) append(all, numbers(source.batch(epoch * count + i)));
  return all;
}

std::vector<float> pixels(const Batch& batch) {
  const auto all = batch.images.span<float>();
  return {all.begin(), all.end()};
}

class Train : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(AheadOrNot, Train, ::testing::Bool());

TEST_P(Train, EveryEpochIsAnotherPermutation) {
  ImageDataset data = dataset({}, GetParam());
  const auto source = data.train(10, 3, 4, {});
  ASSERT_EQ(source->batches_per_epoch(), 5);
  const std::vector<std::int64_t> first = epoch_numbers(*source, 0);
  const std::vector<std::int64_t> second = epoch_numbers(*source, 1);
  EXPECT_NE(first, second);
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  for (std::vector<std::int64_t> order : {first, second}) {
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < kExamples; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
}

TEST_P(Train, RanksTogetherSeeTheBatchOfOneRank) {
  const AugmentRange augment{2, true};
  ImageDataset data = dataset({.augment = augment}, GetParam());
  const auto whole = data.train(12, 3, 4, {});
  for (const int ranks : {2, 4}) {
    std::vector<std::unique_ptr<BatchSource>> parts;
    for (int rank = 0; rank < ranks; ++rank) parts.push_back(data.train(12, 3, 4, {rank, ranks}));
    for (const std::int64_t index : {0, 1, 2, 3, 4, 5, 11}) {
      std::vector<float> joined;
      std::vector<std::int32_t> labels;
      for (int rank = 0; rank < ranks; ++rank) {
        const Batch& part = parts[static_cast<std::size_t>(rank)]->batch(index);
        EXPECT_EQ(part.first_row, rank * 12 / ranks);
        EXPECT_EQ(part.images.shape, (Shape{12 / ranks, kSide, kSide, 1}));
        for (const float pixel : pixels(part)) joined.push_back(pixel);
        for (const std::int32_t label : part.labels.span<std::int32_t>()) labels.push_back(label);
      }
      const Batch& batch = whole->batch(index);
      EXPECT_EQ(joined, pixels(batch)) << ranks << " ranks, batch " << index;
      const auto expected = batch.labels.span<std::int32_t>();
      EXPECT_TRUE(std::equal(labels.begin(), labels.end(), expected.begin(), expected.end()));
    }
  }
}

TEST_P(Train, AnyOrderOfAskingGivesTheSameBatches) {
  ImageDataset data = dataset({.augment = {1, true}}, GetParam());
  const auto in_order = data.train(8, 9, 10, {});
  std::vector<std::vector<float>> expected;
  for (std::int64_t i = 0; i < 20; ++i) expected.push_back(pixels(in_order->batch(i)));
  const auto jumping = data.train(8, 9, 10, {});
  for (const std::size_t i : {7u, 7u, 6u, 19u, 0u, 1u, 2u, 1u, 1u, 13u, 14u, 5u}) {
    EXPECT_EQ(pixels(jumping->batch(static_cast<std::int64_t>(i))), expected[i]) << i;
  }
}

TEST_P(Train, BatchStaysValidWhileTheNextIsPrepared) {
  ImageDataset data = dataset({}, GetParam());
  const auto source = data.train(10, 1, 1, {});
  for (std::int64_t i = 0; i < 50; ++i) {
    const Batch& batch = source->batch(i);
    const std::vector<float> before = pixels(batch);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    ASSERT_EQ(pixels(batch), before);
  }
}

TEST(EpochOrder, EveryPermutationIsEquallyLikely) {
  const std::vector<std::int64_t> places = {0, 1, 2, 3};
  std::vector<std::int64_t> order(4);
  std::map<std::vector<std::int64_t>, int> counts;
  for (std::uint32_t epoch = 0; epoch < 24000; ++epoch) {
    epoch_order(places, 7, epoch, order);
    ++counts[order];
  }
  EXPECT_EQ(counts.size(), 24u);
  // Five standard deviations of a binomial count.
  for (const auto& [permutation, count] : counts) EXPECT_NEAR(count, 1000, 155);
}

// Results of earlier versions can be repeated only as long as this order stays.
TEST(EpochOrder, StaysAsItIs) {
  std::vector<std::int64_t> places(8), order(8);
  std::iota(places.begin(), places.end(), 0);
  epoch_order(places, 1, 2, order);
  EXPECT_EQ(order, (std::vector<std::int64_t>{1, 5, 7, 3, 0, 2, 6, 4}));
}

TEST(TrainSource, OrderSeedAndAugmentSeedActApart) {
  ImageDataset data = dataset({.augment = {2, false}});
  const auto all = [&](std::uint64_t order, std::uint64_t augment) {
    const auto source = data.train(50, order, augment, {});
    const Batch& batch = source->batch(0);
    const auto labels = batch.labels.span<std::int32_t>();
    return std::pair(std::vector<std::int32_t>(labels.begin(), labels.end()), pixels(batch));
  };
  const auto base = all(1, 1), other_order = all(2, 1), other_augment = all(1, 2);
  EXPECT_NE(base.first, other_order.first);
  EXPECT_EQ(base.first, other_augment.first);
  EXPECT_NE(base.second, other_augment.second);
}

TEST(TrainSource, AugmentationChangesFromEpochToEpoch) {
  ImageDataset data = dataset({.augment = {2, true}, .shuffle = false});
  const auto source = data.train(50, 1, 1, {});
  const std::vector<float> first = pixels(source->batch(0));
  EXPECT_NE(pixels(source->batch(1)), first);
  EXPECT_EQ(pixels(source->batch(0)), first);
}

TEST(TrainSource, WithoutShuffleFileOrder) {
  ImageDataset data = dataset({.shuffle = false});
  const auto source = data.train(16, 1, 1, {});
  EXPECT_EQ(source->batches_per_epoch(), 3) << "the incomplete batch is dropped";
  for (const std::int64_t epoch : {0, 1}) {
    const std::vector<std::int64_t> order = epoch_numbers(*source, epoch);
    EXPECT_EQ(order.size(), 48u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  }
}

TEST(TrainSource, BatchesThatCannotBeCutAreRefused) {
  ImageDataset data = dataset({});
  expect_error(ErrorKind::Settings, {"51", "50"}, [&] { data.train(51, 1, 1, {}); });
  expect_error(ErrorKind::Settings, {"10", "4"}, [&] { data.train(10, 1, 1, {0, 4}); });
}

TEST(ValidationSplit, IsDisjointCompleteAndTheSameForEverySeed) {
  ImageDataset data = dataset({.validation = 11});
  EXPECT_EQ(data.examples(Split::Train), 39);
  EXPECT_EQ(data.examples(Split::Validation), 11);
  EXPECT_EQ(data.examples(Split::Test), kTest);
  const auto pass = data.eval(Split::Validation, 11, {});
  const std::vector<std::int64_t> validation = numbers(pass->batch(0));
  EXPECT_EQ(validation, held_out("numbered", kExamples, 11));
  for (const std::uint64_t seed : {1u, 2u}) {
    const auto source = data.train(39, seed, seed, {});
    std::vector<std::int64_t> together = epoch_numbers(*source, 0);
    append(together, validation);
    std::sort(together.begin(), together.end());
    std::vector<std::int64_t> all(kExamples);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(together, all) << "seed " << seed;
  }
}

TEST(ValidationSplit, IsSpreadOverTheFileAndDiffersByDataSet) {
  const std::vector<std::int64_t> ten = held_out("cifar10", 50000, 5000);
  EXPECT_TRUE(std::is_sorted(ten.begin(), ten.end()));
  EXPECT_EQ(std::set<std::int64_t>(ten.begin(), ten.end()).size(), 5000u);
  const double mean = std::accumulate(ten.begin(), ten.end(), 0.0) / 5000.0;
  EXPECT_NEAR(mean, 24999.5, 5.0 * 14434.0 / std::sqrt(5000.0));
  EXPECT_NE(ten, held_out("cifar100", 50000, 5000));
}

TEST(ValidationSplit, CannotTakeEverything) {
  expect_error(ErrorKind::Settings, {"data.validation", "50"}, [] { dataset({.validation = 50}); });
}

TEST(Fraction, TakesTheFirstShareOfEachSplit) {
  ImageDataset whole = dataset({.validation = 10});
  ImageDataset part = dataset({.validation = 10, .fraction = 0.3});
  EXPECT_EQ(part.examples(Split::Train), 12);
  EXPECT_EQ(part.examples(Split::Validation), 3);
  EXPECT_EQ(part.examples(Split::Test), 7);
  const auto few = part.eval(Split::Validation, 3, {}), all = whole.eval(Split::Validation, 3, {});
  EXPECT_EQ(numbers(few->batch(0)), numbers(all->batch(0)));
}

class Eval : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(AheadOrNot, Eval, ::testing::Bool());

TEST_P(Eval, FileOrderOnceAndPaddedRowsDoNotCount) {
  ImageDataset data = dataset({.augment = {2, true}}, GetParam());
  const auto source = data.eval(Split::Test, 10, {});
  EXPECT_EQ(source->examples(), kTest);
  ASSERT_EQ(source->batches(), 3);
  std::vector<std::int64_t> seen;
  for (std::int64_t i = 0; i < 3; ++i) append(seen, numbers(source->batch(i)));
  for (std::int64_t i = 0; i < kTest; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
  const Batch& last = source->batch(2);
  for (std::int64_t row = 0; row < 10; ++row) {
    EXPECT_EQ(last.labels.as<std::int32_t>()[row] == -1, row >= 3) << row;
    for (std::int64_t p = 0; row >= 3 && p < kSide * kSide; ++p) {
      EXPECT_EQ(last.images.as<float>()[row * kSide * kSide + p], 0.0f);
    }
  }
  expect_error(ErrorKind::Internal, {"3"}, [&] { source->batch(3); });
}

TEST_P(Eval, RanksShareTheSplitContiguouslyWithEquallyManyBatches) {
  ImageDataset data = dataset({}, GetParam());
  for (const int ranks : {1, 2, 3, 4}) {
    std::vector<std::int64_t> seen;
    std::set<std::int64_t> batches;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto source = data.eval(Split::Test, 12, {rank, ranks});
      batches.insert(source->batches());
      for (std::int64_t i = 0; i < source->batches(); ++i) {
        const Batch& batch = source->batch(i);
        EXPECT_EQ(batch.labels.numel(), 12 / ranks);
        const std::vector<std::int64_t> rows = numbers(batch);
        for (std::size_t row = 0; row < rows.size(); ++row) {
          if (batch.labels.as<std::int32_t>()[row] >= 0) seen.push_back(rows[row]);
        }
      }
    }
    std::vector<std::int64_t> all(kTest);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all) << ranks << " ranks";
    EXPECT_EQ(batches.size(), 1u) << ranks << " ranks";
  }
}

TEST(EvalSource, EmptyValidationSplitHasNoBatches) {
  ImageDataset data = dataset({.validation = 0});
  const auto source = data.eval(Split::Validation, 8, {});
  EXPECT_EQ(source->examples(), 0);
  EXPECT_EQ(source->batches(), 0);
}

// What `fill` throws reaches the caller of get(), and the queue goes on.
TEST(BatchQueue, AFailureIsThatOfTheBatch) {
  for (const bool ahead : {false, true}) {
    const auto fill = [](std::int64_t index, const Batch& into) {
      if (index == 2) fail(ErrorKind::Input, "batch {} is damaged", index);
      into.labels.as<std::int32_t>()[0] = static_cast<std::int32_t>(index);
    };
    BatchQueue queue({1, 1, 1, 2}, 1, 0, 5, fill, ahead);
    for (const std::int64_t index : {0, 1, 2, 3, 2, 4, 1, 2, 2, 0}) {
      if (index == 2) {
        expect_error(ErrorKind::Input, {"batch 2 is damaged"}, [&] { queue.get(index); });
      } else {
        EXPECT_EQ(queue.get(index).labels.as<std::int32_t>()[0], index);
      }
      if (ahead) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

// Batches are filled by the thread, or by the caller if the thread has not begun; never twice, and never by both at once.
TEST(BatchQueue, EachBatchIsFilledOnceByOneThread) {
  std::atomic<int> inside{0}, fills{0}, elsewhere{0};
  const auto caller = std::this_thread::get_id();
  const auto fill = [&](std::int64_t, const Batch&) {
    EXPECT_EQ(inside.fetch_add(1), 0);
    ++fills;
    if (std::this_thread::get_id() != caller) ++elsewhere;
    inside.fetch_sub(1);
  };
  BatchQueue queue({1, 1, 1, 2}, 1, 0, 2000, fill, true);
  queue.get(0);
  while (fills < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(elsewhere, 1) << "the next batch while the caller has not asked for it";
  for (std::int64_t i = 1; i < 2000; ++i) queue.get(i);
  EXPECT_EQ(fills, 2000);
}

// Images of noise, in both forms of every batch: as the source makes them and as a device does from the choices.
TEST(Sources, ChoicesMakeTheSameBitsAsImages) {
  auto data = std::make_shared<ImageData>();
  data->shape = {6, 5, 3, 10};
  for (ImageSplit* split : {&data->train, &data->test}) {
    for (std::uint64_t i = 0; i < 31; ++i) split->labels.push_back(static_cast<std::int32_t>(i % 10));
    for (std::uint64_t i = 0; i < 31 * 90; ++i) {
      split->pixels.push_back(static_cast<std::uint8_t>(below({1, 2, 3}, i, 256)));
    }
  }
  const ImageStatistics statistics{{0.49, 0.25}, {0.3, 0.2}, {0.11, 0.31}};
  for (const bool ahead : {false, true}) {
    ImageDataset set({"noise", statistics, {}}, {.augment = {7, true}, .validation = 3}, data);
    set.read_ahead(ahead);
    const auto expect_equal = [&](Batches& source, std::int64_t index) {
      const ChosenBatch* chosen = source.chosen(index);
      ASSERT_NE(chosen, nullptr);
      const Batch& batch = source.batch(index);
      EXPECT_EQ(chosen->first_row, batch.first_row);
      ASSERT_EQ(static_cast<std::int64_t>(chosen->rows.size()), batch.labels.numel());
      std::vector<float> images(static_cast<std::size_t>(batch.images.numel()));
      std::vector<std::int32_t> labels(chosen->rows.size());
      const Pixels& pixels = *chosen->pixels;
      const MakeImages make{pixels.bytes.data(),   pixels.scale.data(), pixels.shift.data(),
                            chosen->rows.data(),   pixels.shape.height, pixels.shape.width,
                            pixels.shape.channels, images.data(),       labels.data()};
      for (std::int64_t i = 0; i < batch.images.numel(); ++i) make(i);
      EXPECT_EQ(std::memcmp(images.data(), batch.images.data, batch.images.bytes()), 0) << "batch " << index;
      EXPECT_EQ(std::memcmp(labels.data(), batch.labels.data, batch.labels.bytes()), 0) << "batch " << index;
    };
    const auto train = set.train(8, 1, 2, {1, 2});
    for (const std::int64_t index : {0, 1, 2, 3, 9, 4, 0, 20}) expect_equal(*train, index);
    for (const Split split : {Split::Validation, Split::Test}) {
      const auto eval = set.eval(split, 8, {1, 2});  // the last batch is filled up
      for (std::int64_t index = 0; index < eval->batches(); ++index) expect_equal(*eval, index);
    }
  }
}

TEST(Sources, OutliveTheirDataset) {
  std::unique_ptr<BatchSource> train;
  std::unique_ptr<EvalSource> eval;
  {
    ImageDataset data = dataset({}, true);
    train = data.train(10, 1, 1, {});
    eval = data.eval(Split::Test, 10, {});
  }
  EXPECT_EQ(epoch_numbers(*train, 0).size(), 50u);
  EXPECT_EQ(numbers(eval->batch(1)).front(), 10);
}

}  // namespace
}  // namespace winnow
