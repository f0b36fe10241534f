// Steps between events are queued without a look at what they leave: the host waits once for many, and what it learns then is
// what a trial on the CPU learns step by step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/device/emulated.h"
#include "tests/training/extra_loss.h"
#include "tests/training/process.h"

namespace winnow::test {
namespace {

const Pairs kTiny = {{"height", "8"},    {"width", "6"},      {"channels", "3"},      {"classes", "3"},
                     {"examples", "64"}, {"validation", "0"}, {"test_examples", "10"}};

class Watcher final : public TrainObserver {
 public:
  void phase_started(const Phase&, TrainState& state) override {
    if (prepare) prepare(state);
  }
  void step_started() override {
#if defined(WINNOW_EMULATED)
    const emulator::Counts counts = emulator::counts(emulator::Within::Direct);
    waits.push_back(counts.synchronisations);
    sent.push_back(counts.bytes_to_device);
    least_free = std::min(least_free, open_device()->free_bytes());
#endif
  }
  void step_done(const StepReport& report) override { steps.push_back(report); }
  std::function<void(TrainState&)> prepare;
  std::vector<std::size_t> waits, sent;
  std::size_t least_free = SIZE_MAX;
  std::vector<StepReport> steps;
};

struct Ended {
  Watcher seen;
  Trainer::Outcome outcome;
  Cursor cursor;
  std::vector<float> weights;
};

std::unique_ptr<Ended> ended(const std::shared_ptr<DeviceStream>& stream, const Pairs& train,
                             std::function<void(TrainState&)> prepare = {}, Method* method = nullptr,
                             const Pairs& data = {}, const char* method_name = "dense") {
  auto found = std::make_unique<Ended>();
  Pairs settings = {{"batch", "4"}, {"eval_batch", "10"}};
  settings.insert(settings.end(), train.begin(), train.end());
  Pairs images = kTiny;
  images.insert(images.end(), data.begin(), data.end());
  SmallTrial trial("lenet300", {{"name", method_name}}, settings, images);
  trial.observer = &found->seen;
  found->seen.prepare = std::move(prepare);
  ProgramCache programs(stream);
  TrainJob job = method != nullptr ? with_method(trial, *method) : trial.job();
  job.programs = &programs;
  Trainer trainer(job);
  found->outcome = trainer.run();
  found->cursor = trainer.cursor();
  found->weights = all_weights(trainer);
  return found;
}

class QueuedSteps : public testing::Test {
 protected:
  void SetUp() override {
#if defined(WINNOW_EMULATED)
    emulator::reset();
#endif
  }
};

#if defined(WINNOW_EMULATED)
// What a step sends: choices of examples (16 bytes each) and what is fed to the pass and the update, not images (3 KB). A teacher
// looks at those of the device as well, and what it says of them stays there.
TEST_F(QueuedSteps, TheHostDoesNotWaitWithinAnEpochAndSendsNoImages) {
  for (const char* method : {"dense", "born_again"}) {
    SCOPED_TRACE(method);
    emulator::reset();
    const auto found = ended(open_device(), {{"epochs", "2"}, {"lr", "0.01"}}, {}, nullptr, {}, method);
    ASSERT_EQ(found->seen.waits.size(), 32u);
    // The first two steps compile, run and record.
    for (std::size_t step = 3; step < 32; ++step) {
      if (step == 16) continue;  // the end of an epoch lies before it
      EXPECT_EQ(found->seen.waits[step], found->seen.waits[step - 1]) << "step " << step;
      EXPECT_LT(found->seen.sent[step] - found->seen.sent[step - 1], 400u) << "step " << step;
    }
  }
}

// Several times as many as are queued at once, with no event among them.
TEST_F(QueuedSteps, TheHostWaitsOnceForAFullQueueOfALongEpoch) {
  constexpr std::size_t kSteps = 160;
  static_assert(kSteps > 4 * TrainingStep::kMostQueued);
  const Pairs train = {{"epochs", "1"}, {"lr", "0.01"}}, data = {{"examples", std::to_string(4 * kSteps)}};
  const auto here = ended(open_device(), train, {}, nullptr, data), there = ended(nullptr, train, {}, nullptr, data);
  ASSERT_EQ(here->seen.waits.size(), kSteps);
  std::vector<std::size_t> waited;
  for (std::size_t step = 3; step < kSteps; ++step) {
    if (here->seen.waits[step] > here->seen.waits[step - 1]) waited.push_back(step);
  }
  EXPECT_EQ(waited, (std::vector<std::size_t>{32, 64, 96, 128}));
  ASSERT_EQ(here->seen.steps.size(), kSteps);
  for (std::size_t i = 0; i < kSteps; ++i) {
    const double expected = there->seen.steps[i].loss;
    EXPECT_EQ(here->seen.steps[i].step, there->seen.steps[i].step);
    EXPECT_NEAR(here->seen.steps[i].loss, expected, 0.02 * expected) << "step " << i;
  }
}

// Images, losses and the update lie where those of the trial before lay, so that its recordings are this one's.
TEST_F(QueuedSteps, ASecondTrialOfAShapeRecordsNothing) {
  ProgramCache programs(open_device());
  const auto recordings_of = [&](const char* rate, const char* optimizer = "sgd") {
    emulator::reset_counts();
    SmallTrial trial("lenet300", {{"name", "dense"}},
                     {{"batch", "4"}, {"eval_batch", "10"}, {"epochs", "2"}, {"lr", rate}, {"optimizer", optimizer}},
                     kTiny);
    TrainJob job = trial.job();
    job.programs = &programs;
    Trainer(job).run();
    return emulator::counts(emulator::Within::Direct).recordings;
  };
  EXPECT_EQ(recordings_of("0.01"), 3u) << "of training, update and evaluation";
  EXPECT_EQ(recordings_of("0.02"), 0u);
  EXPECT_EQ(recordings_of("0.01"), 0u);
  // Two passes: at the point the images are made already, and losses are logged in a row of their own.
  EXPECT_EQ(recordings_of("0.01", "sam"), 2u) << "of the point and the pass there: the update is SGD's";
  EXPECT_EQ(recordings_of("0.02", "sam"), 0u);
}

// What a recorded step leaves to be launched by itself: nothing but copies.
TEST_F(QueuedSteps, AStepIsTwoRecordingsAndNoKernelBesideThem) {
  ProgramCache programs(open_device());
  SmallTrial trial("lenet300", {{"name", "dense"}}, {{"batch", "4"}, {"eval_batch", "10"}, {"epochs", "2"}}, kTiny);
  TrainJob job = trial.job();
  job.programs = &programs;
  Trainer(job).run();  // all is recorded
  Trainer trainer(job);
  trainer.train_step();
  emulator::reset_counts();
  trainer.train_step();
  const emulator::Counts direct = emulator::counts(emulator::Within::Direct);
  EXPECT_EQ(direct.kernels, 0u);
  EXPECT_EQ(direct.graph_launches, 2u);
}

TEST_F(QueuedSteps, ARecordingThatFailsLeavesNoGraphBehind) {
  const auto stream = open_device();
  EXPECT_THROW(stream->record([] { throw std::runtime_error("half-way"); }), std::runtime_error);
  EXPECT_EQ(emulator::live().graphs, 0u);
  EXPECT_NE(stream->record([] {}), nullptr) << "and nothing is being recorded any more";
}

TEST_F(QueuedSteps, ADataSetIsSentOnceForAllTrialsOfAWorker) {
  ProgramCache programs(open_device());
  std::vector<std::size_t> sent;
  for (const char* seed : {"1", "1", "2"}) {
    emulator::reset_counts();
    Pairs data = kTiny;
    data.emplace_back("seed", seed);
    SmallTrial trial("lenet300", {{"name", "dense"}}, {{"batch", "4"}, {"eval_batch", "10"}, {"epochs", "1"}}, data);
    TrainJob job = trial.job();
    job.programs = &programs;
    Trainer(job).run();
    sent.push_back(emulator::counts(emulator::Within::Direct).bytes_to_device);
  }
  EXPECT_EQ(sent[2] - sent[1], (64 + 10) * 8 * 6 * 3) << "bytes of both splits";
}

TEST_F(QueuedSteps, ADataSetThatIsLargeForTheDeviceStaysOnTheHost) {
  const std::vector<std::uint8_t> bytes(1 << 20);
  const Pixels pixels{nullptr, bytes, {}, {}, {}};
  EXPECT_EQ(pixels_on(open_device(), pixels)->memory.bytes(), bytes.size());
  emulator::set_memory_limit(3 << 20);
  EXPECT_EQ(pixels_on(open_device(), pixels), nullptr);
}

TEST_F(QueuedSteps, ADataSetIsThereForTheQueueOfAnyTrial) {
  std::vector<std::uint8_t> bytes(1000), found(bytes.size());
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  const Pixels pixels{nullptr, bytes, {}, {}, {}};
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    emulator::set_stream_seed(seed);
    const auto first = open_device(), other = open_device();
    const auto there = pixels_on(first, pixels);
    other->download(found.data(), there->memory.get(), found.size());
    EXPECT_EQ(found, bytes) << "seed " << seed;
  }
}

TEST_F(QueuedSteps, ExamplesOfALargeDataSetGoWithTheirBatchAndChangeNoBit) {
  const Pairs train = {{"epochs", "2"}, {"lr", "0.01"}};
  const std::size_t all = open_device()->free_bytes();
  const auto small = ended(open_device(), train);
  emulator::reset();
  emulator::set_memory_limit(all - small->seen.least_free);  // all but the pixels is in use when they are asked for
  const auto large = ended(open_device(), train);
  EXPECT_EQ(large->weights, small->weights);
  const std::vector<std::size_t>& sent = large->seen.sent;
  EXPECT_GT(sent[10] - sent[9], 4u * 8 * 6 * 3) << "bytes of four examples";
  EXPECT_LT(sent[10] - sent[9], 4u * 8 * 6 * 3 * sizeof(float)) << "but no images";
}

TEST_F(QueuedSteps, AnUploadOfManyBlocksIsWhatItWasWhenItWasAskedFor) {
  const auto stream = open_device();
  std::vector<std::uint32_t> numbers(5u << 20), found(numbers.size());
  std::iota(numbers.begin(), numbers.end(), 0u);
  const std::vector<std::uint32_t> expected = numbers;
  const Memory memory(stream, numbers.size() * sizeof numbers[0]);
  stream->upload(memory.get(), numbers.data(), memory.bytes());
  std::ranges::fill(numbers, 7u);
  stream->download(found.data(), memory.get(), memory.bytes());
  EXPECT_EQ(found, expected);
}
#endif

TEST_F(QueuedSteps, EachIsReportedInOrder) {
  const auto here = ended(open_device(), {{"epochs", "5"}, {"lr", "0.01"}}),
             there = ended(nullptr, {{"epochs", "5"}, {"lr", "0.01"}});
  ASSERT_EQ(here->seen.steps.size(), there->seen.steps.size());
  for (std::size_t i = 0; i < here->seen.steps.size(); ++i) {
    const StepReport &a = here->seen.steps[i], &b = there->seen.steps[i];
    EXPECT_EQ(a.step, b.step);
    EXPECT_EQ(a.learning_rate, b.learning_rate);
    EXPECT_NEAR(a.loss, b.loss, 0.02 * b.loss) << "step " << i;
    EXPECT_NEAR(a.accuracy, b.accuracy, 0.26) << "step " << i;  // of 4 examples, one may lie on the border
  }
}

void expect_the_same_end(const Ended& here, const Ended& there) {
  ASSERT_TRUE(there.outcome.diverged);
  EXPECT_TRUE(here.outcome.diverged);
  EXPECT_EQ(here.outcome.step, there.outcome.step);
  EXPECT_EQ(here.cursor.step, there.cursor.step);
  EXPECT_EQ(here.cursor.batches, there.cursor.batches);
  EXPECT_EQ(here.cursor.updates, there.cursor.updates);
  ASSERT_EQ(here.seen.steps.size(), there.seen.steps.size());
  const StepReport &a = here.seen.steps.back(), &b = there.seen.steps.back();
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.updated, b.updated);
  EXPECT_TRUE(a.diverged && b.diverged);
  for (std::size_t i = 0; i < here.weights.size(); ++i) {
    EXPECT_EQ(std::isfinite(here.weights[i]), std::isfinite(there.weights[i])) << "weight " << i;
  }
}

// Steps queued behind the one that went too far leave no trace.
TEST_F(QueuedSteps, ALossThatIsNotFiniteEndsTheTrialWhereItDoesOnTheCpu) {
  for (const char* rate : {"1e3", "1e6", "1e12"}) {
    SCOPED_TRACE(rate);
    const Pairs train = {{"epochs", "3"}, {"lr", rate}, {"schedule.kind", "constant"}};
    const auto there = ended(nullptr, train);
    EXPECT_FALSE(there->seen.steps.back().updated);
    expect_the_same_end(*ended(open_device(), train), *there);
  }
}

// Weights behind a unit that is always 0 double with each update, unseen by the loss.
TEST_F(QueuedSteps, AWeightThatIsNotFiniteEndsTheTrialWhereItDoesOnTheCpu) {
  const auto prepare = [](TrainState& state) {
    ParamStore& params = state.params();
    const std::int64_t inputs = params.specs()[0].shape[1], units = params.specs()[0].shape[0];
    std::ranges::fill(params.change(ParamId(0)).first(static_cast<std::size_t>(inputs)), 0.0f);
    for (float& weight : params.change(ParamId(2))) weight *= 1e-6f;
    params.change(ParamId(2))[static_cast<std::size_t>(3 * units)] = 1e37f;
  };
  const Pairs train = {
      {"epochs", "3"}, {"lr", "1"}, {"momentum", "0"}, {"weight_decay", "3"}, {"schedule.kind", "constant"}};
  const auto there = ended(nullptr, train, prepare);
  EXPECT_TRUE(there->seen.steps.back().updated);
  EXPECT_GT(there->outcome.step, 3);
  expect_the_same_end(*ended(open_device(), train, prepare), *there);
}

// The squares of a weight that doubles with each update, unseen by the loss of the labels.
TEST_F(QueuedSteps, AnExtraLossThatIsNotFiniteStopsTheUpdatesBehindIt) {
  const auto prepare = [](TrainState& state) {
    ParamStore& params = state.params();
    const std::int64_t inputs = params.specs()[0].shape[1], units = params.specs()[0].shape[0];
    std::ranges::fill(params.change(ParamId(0)).first(static_cast<std::size_t>(inputs)), 0.0f);
    for (float& weight : params.change(ParamId(2))) weight *= 1e-6f;
    params.change(ParamId(2))[static_cast<std::size_t>(3 * units)] = 1e18f;
  };
  const Pairs train = {
      {"epochs", "3"}, {"lr", "1"}, {"momentum", "0"}, {"weight_decay", "3"}, {"schedule.kind", "constant"}};
  WithLosses method({{WithLosses::Of::Weights, 1, false}});
  const auto there = ended(nullptr, train, prepare, &method), here = ended(open_device(), train, prepare, &method);
  EXPECT_FALSE(there->seen.steps.back().updated);
  EXPECT_EQ(there->outcome.step, 5) << "1e36 times 4 in each step";
  expect_the_same_end(*here, *there);
  EXPECT_LT(std::ranges::min(there->weights), -3e19f) << "the one that doubles";
  EXPECT_EQ(std::ranges::min(here->weights), std::ranges::min(there->weights));
}

}  // namespace
}  // namespace winnow::test
