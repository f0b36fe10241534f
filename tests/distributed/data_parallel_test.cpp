// Runs under mpirun with 2 and 4 ranks; every rank runs every test.
#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "core/digest.h"
#include "core/error.h"
#include "distributed/agree.h"
#include "distributed/communicator.h"
#include "distributed/reducer.h"
#include "experiments/run/cores.h"
#include "tests/training/extra_loss.h"
#include "tests/training/process.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::all_weights;
using test::Pairs;
using test::SmallTrial;

Communicator& world() {
  static const std::unique_ptr<Communicator> comm = make_world();
  return *comm;
}

// Weights after some steps on all ranks, and the same computed by this rank alone on the whole batches.
std::pair<std::vector<float>, std::vector<float>> together_and_alone(const std::string& model, const Pairs& method,
                                                                     int steps, const char* optimizer = "sgd") {
  const Pairs train = {{"batch", "64"}, {"lr", "0.005"}, {"optimizer", optimizer}};
  SmallTrial whole(model, method, train), part(model, method, train, {}, {}, &world());
  Trainer alone = whole.make(), together = part.make();
  alone.start_phase(0);
  together.start_phase(0);
  for (int i = 0; i < steps; ++i) {
    const StepReport a = alone.train_step(), b = together.train_step();
    EXPECT_NEAR(a.loss, b.loss, 1e-4 * std::fabs(a.loss));
    EXPECT_EQ(a.updated, b.updated);
  }
  return {all_weights(together), all_weights(alone)};
}

TEST(DataParallel, MoreThanOneRankRuns) { EXPECT_GT(world().size(), 1); }

TEST(DataParallel, EqualsOneRankOnTheWholeBatch) {
  for (const auto& [model, optimizer] :
       {std::pair{"lenet300", "sgd"}, {"lenet5", "sgd"}, {"lenet5", "sam"}, {"lenet5", "adam_mini"}}) {
    const auto [together, alone] = together_and_alone(model, {{"name", "dense"}}, 10, optimizer);
    double worst = 0;
    for (std::size_t i = 0; i < alone.size(); ++i)
      worst = std::max(worst, std::fabs(static_cast<double>(together[i] - alone[i])));
    EXPECT_LT(worst, 2e-4) << model << " " << optimizer;
  }
}

// A term of parameters alone and one of the batch: neither is multiplied nor divided by the number of ranks.
TEST(DataParallel, ExtraLossesCountOnce) {
  using test::WithLosses;
  WithLosses of_all({{WithLosses::Of::Weights, 0.02, true}, {WithLosses::Of::Logits, 0.3, true}});
  WithLosses of_parts = of_all;
  const Pairs train = {{"batch", "64"}, {"lr", "0.005"}, {"momentum", "0"}};
  SmallTrial whole("lenet300", {{"name", "dense"}}, train), plain("lenet300", {{"name", "dense"}}, train);
  SmallTrial part("lenet300", {{"name", "dense"}}, train, {}, {}, &world());
  Trainer alone(test::with_method(whole, of_all)), together(test::with_method(part, of_parts)), without = plain.make();
  for (Trainer* trainer : {&alone, &together, &without}) trainer->start_phase(0);
  for (int i = 0; i < 5; ++i) {
    const StepReport a = alone.train_step(), b = together.train_step();
    without.train_step();
    EXPECT_NEAR(a.loss, b.loss, 1e-4 * std::fabs(a.loss));
    ASSERT_EQ(b.losses.size(), 2u);
    for (const std::size_t term : {0, 1}) EXPECT_NEAR(a.losses[term], b.losses[term], 1e-4 * a.losses[term]) << term;
  }
  const std::vector<float> a = all_weights(alone), b = all_weights(together), c = all_weights(without);
  double worst = 0, effect = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(a[i] - b[i])));
    effect = std::max(effect, std::fabs(static_cast<double>(a[i] - c[i])));
  }
  EXPECT_LT(worst, 0.01 * effect) << "half or twice the terms would differ by half of their effect";
}

// Group lasso, both ways of stepping.
TEST(DataParallel, GroupLassoIsThatOfOneRank) {
  for (const char* step : {"proximal", "subgradient"}) {
    const Pairs method = {{"name", "ssl"}, {"step", step}, {"filters", "0.5"}, {"channels", "0.5"}};
    const auto [together, alone] = together_and_alone("lenet5", method, 10);
    const auto plain = together_and_alone("lenet5", {{"name", "dense"}}, 10).second;
    double worst = 0, effect = 0;
    for (std::size_t i = 0; i < alone.size(); ++i) {
      worst = std::max(worst, std::fabs(static_cast<double>(together[i] - alone[i])));
      effect = std::max(effect, std::fabs(static_cast<double>(alone[i] - plain[i])));
    }
    EXPECT_LT(worst, 0.05 * effect) << step;
  }
}

// The confidence of a teacher is relative to the whole batch, and a row is shuffled as on one rank.
TEST(DataParallel, AStudentIsThatOfOneRank) {
  for (const char* loss : {"ban", "cwtm", "dkpp"}) {
    const auto [together, alone] = together_and_alone("lenet5", {{"name", "born_again"}, {"loss", loss}}, 10);
    const auto plain = together_and_alone("lenet5", {{"name", "dense"}}, 10).second;
    double worst = 0, effect = 0;
    for (std::size_t i = 0; i < alone.size(); ++i) {
      worst = std::max(worst, std::fabs(static_cast<double>(together[i] - alone[i])));
      effect = std::max(effect, std::fabs(static_cast<double>(alone[i] - plain[i])));
    }
    EXPECT_LT(worst, 0.01 * effect) << loss;
  }
}

TEST(DataParallel, MasksAndScoresAreThoseOfOneRank) {
  for (const char* name : {"snip", "rigl", "random"}) {
    Pairs method = {{"name", name}, {"density", "0.1"}};
    if (std::string(name) == "rigl") method.insert(method.end(), {{"delta_t", "2"}});
    const auto [together, alone] = together_and_alone("lenet300", method, 1);
    std::size_t different = 0;
    for (std::size_t i = 0; i < alone.size(); ++i) different += (together[i] == 0) != (alone[i] == 0) ? 1 : 0;
    EXPECT_LE(different, 4u) << name;  // a tie at the threshold may fall either way when sums are
                                       // rounded in another order
  }
}

// Every rank scores the whole balanced set, so that its batch norm and its sums are those of one rank, bit for bit.
TEST(DataParallel, MasksFromBalancedSetsAreExactlyThoseOfOneRank) {
  const Pairs images = {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}};
  const Pairs method = {{"name", "grasp"}, {"density", "0.1"}, {"samples_per_class", "2"}, {"iterations", "2"}};
  SmallTrial whole("resnet20", method, {{"batch", "64"}}, images);
  SmallTrial part("resnet20", method, {{"batch", "64"}}, images, {}, &world());
  Trainer alone = whole.make(), together = part.make();
  alone.start_phase(0);
  together.start_phase(0);
  for (const ParamId id : alone.prunable()) {
    EXPECT_LT(alone.params().count(id, MaskKind::Keep),
              alone.params().specs()[static_cast<std::size_t>(id)].shape.numel());
  }
  EXPECT_EQ(together.params().mask_digest(), alone.params().mask_digest());
}

TEST(DataParallel, WhatOverflowsOnOneRankEndsTheTrialOnAll) {
  SmallTrial trial("resnet20", {{"name", "dense"}}, {},
                   {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}}, {}, &world());
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  EXPECT_FALSE(trainer.train_step().diverged);
  if (world().rank() == 1) trainer.params().change_buffer(1)[0] = INFINITY;
  EXPECT_TRUE(trainer.train_step().diverged);
}

TEST(DataParallel, TheSameRankCountGivesTheSameBits) {
  std::vector<std::vector<float>> runs;
  for (int run = 0; run < 2; ++run) {
    SmallTrial trial("lenet5", {{"name", "dense"}}, {}, {}, {}, &world());
    Trainer trainer = trial.make();
    trainer.run();
    runs.push_back(all_weights(trainer));
  }
  EXPECT_EQ(runs[0], runs[1]);
}

// Of every parameter and statistic: the same on all ranks?
void expect_equal_on_all_ranks(Trainer& trainer) {
  std::vector<float> values = all_weights(trainer);
  for (std::size_t b = 0; b < trainer.params().buffer_count(); ++b) {
    const auto buffer = trainer.params().buffer(b);
    values.insert(values.end(), buffer.begin(), buffer.end());
  }
  Digest digest;
  for (const float value : values) digest.add(std::bit_cast<std::uint32_t>(value));
  std::uint64_t bounds[2] = {digest.value(), ~digest.value()};
  world().all_reduce_max(bounds);
  EXPECT_EQ(bounds[0], digest.value());
  EXPECT_EQ(~bounds[1], digest.value());
}

TEST(DataParallel, AllRanksLoseTheSameChannels) {
  const Pairs images = {{"height", "16"}, {"width", "16"}, {"channels", "3"}, {"examples", "320"}};
  const Pairs slimming = {{"name", "slimming"}, {"fine_tune", "5it"}},
              taylor = {{"name", "taylor"}, {"interval", "3it"}, {"fine_tune.epochs", "8it"}};
  for (const Pairs& method : {slimming, taylor}) {
    SmallTrial trial("resnet20", method, {{"epochs", "10it"}}, images, {}, &world());
    Trainer trainer = trial.make();
    EXPECT_FALSE(trainer.run().diverged);
    EXPECT_FALSE(trainer.kept().empty());
    expect_equal_on_all_ranks(trainer);
  }
}

// Measured anew, statistics are those of the whole batches, on all ranks alike. Means of the first norm are the same as on one
// rank; deeper ones are not, since each rank normalises by its own rows.
TEST(DataParallel, RecalibratedStatisticsAreOfAllRanks) {
  const Pairs images = {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}};
  SmallTrial shared("resnet20", {{"name", "dense"}}, {}, images, {}, &world());
  SmallTrial single("resnet20", {{"name", "dense"}}, {}, images);
  Trainer together = shared.make(), alone = single.make();
  for (Trainer* trainer : {&together, &alone}) {
    trainer->start_phase(0);
    trainer->recalibrate(3);
  }
  expect_equal_on_all_ranks(together);
  ASSERT_TRUE(together.params().buffer_specs()[0].name.ends_with("mean"));
  const auto all = together.params().buffer(0), one = alone.params().buffer(0);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(all[i], one[i], 1e-5 * (1 + std::fabs(one[i])));
  EXPECT_NE(one[0], 0);
}

// Every rank goes on from a state of its own: statistics of batch norm are those of its rows. Two ranks do so in every method, more in
// those whose phases and states differ.
TEST(DataParallel, AStoppedTrialGoesOnWithTheSameBits) {
  using test::Process;
  const std::set<std::string> of_more = {"snip", "rigl", "imp", "slimming", "oneshot", "freezeout"};
  for (test::Recipe recipe : test::each_method()) {
    SCOPED_TRACE(recipe.name);
    if (world().size() > 2 && !of_more.contains(recipe.name)) continue;
    recipe.model = "resnet20";
    Process whole(recipe, {}, nullptr, 0, &world());
    ASSERT_TRUE(whole.run());
    MemoryState expected = whole.ended();
    auto process = std::make_unique<Process>(recipe, Pairs{}, nullptr, 0, &world());
    for (const int batches : {1, 3, 4, -1}) {
      process->batches_left = batches;
      if (process->run()) break;
      MemoryState state;
      process->trainer->save(state);
      process = std::make_unique<Process>(recipe, Pairs{}, nullptr, 0, &world());
      process->trainer->load(state);
    }
    MemoryState now = process->ended();
    EXPECT_EQ(test::difference(expected, now), "");
  }
}

TEST(DataParallel, RanksThatRemoveOtherChannelsDoNotGoOn) {
  const Pairs images = {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}};
  SmallTrial trial("resnet20", {{"name", "dense"}}, {}, images, {}, &world());
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const std::vector<std::int64_t> groups{world().rank()};
  EXPECT_THROW(trainer.remove_channels(groups), Error);
}

TEST(DataParallel, AllRanksHoldTheSameWeights) {
  SmallTrial trial("lenet300", {{"name", "rigl"}, {"density", "0.1"}, {"delta_t", "5"}}, {}, {}, {}, &world());
  Trainer trainer = trial.make();
  trainer.run();
  expect_equal_on_all_ranks(trainer);
}

// Layers rest in the middle of an epoch, with statistics that all ranks share from then on; and nothing is sent for them.
TEST(DataParallel, AFrozenLayerHasOneStatisticAndNoGradient) {
  const Pairs images{{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}, {"test_examples", "40"}};
  std::vector<double> sent;
  for (const char* share : {"1", "0.3"}) {
    SmallTrial trial("resnet20", {{"name", "freezeout"}, {"t0", share}, {"scaled", "false"}}, {{"optimizer", "sam"}},
                     images, {}, &world());
    Trainer trainer = trial.make();
    sent.push_back(static_cast<double>(trainer.run().bytes_sent));
    expect_equal_on_all_ranks(trainer);
  }
  EXPECT_LT(sent[1], 0.9 * sent[0]);
}

TEST(DataParallel, OnlyLiveGradientsAreSent) {
  SmallTrial sparse("lenet300", {{"name", "random"}, {"density", "0.05"}}, {}, {}, {}, &world());
  Trainer trainer = sparse.make();
  const auto outcome = trainer.run();
  const double share = static_cast<double>(outcome.bytes_sent) / static_cast<double>(outcome.bytes_dense);
  EXPECT_GT(share, 0.04);
  EXPECT_LT(share, 0.06);  // 5 % of the weights and all biases
}

TEST(DataParallel, FrozenWeightsAreNotSent) {
  SmallTrial frozen("lenet300", {{"name", "freezenet"}, {"density", "0.05"}}, {}, {}, {}, &world());
  Trainer trainer = frozen.make();
  const auto outcome = trainer.run();
  EXPECT_LT(static_cast<double>(outcome.bytes_sent), 0.06 * static_cast<double>(outcome.bytes_dense));
}

TEST(Tickets, EachIsHandedOutOnceAndCountersAreApart) {
  const auto tickets = world().tickets(3);
  constexpr int kEach = 50;
  std::vector<double> seen(static_cast<std::size_t>(kEach * world().size()), 0.0);
  for (int i = 0; i < kEach; ++i) seen.at(static_cast<std::size_t>(tickets->next(1))) += 1.0;
  world().all_reduce_sum(std::span<double>(seen));
  for (const double count : seen) EXPECT_EQ(count, 1.0);
  double first = tickets->next(2) == 0 ? 1 : 0;
  world().all_reduce_sum(std::span(&first, 1));
  EXPECT_EQ(first, 1.0);
}

TEST(Notice, AWordOfOneRankReachesAllAndTwoMayGiveIt) {
  for (const int givers : {1, 2}) {
    const auto notice = world().notice();
    EXPECT_FALSE(notice->heard());
    std::uint64_t all_looked = 1;
    world().all_reduce_max(std::span(&all_looked, 1));
    if (world().rank() >= world().size() - givers) notice->give();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!notice->heard() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_TRUE(notice->heard());
  }
}

TEST(Mail, EveryTextReachesRankZeroInItsOrder) {
  const auto mail = world().mail();
  const std::size_t sizes[] = {0, 20, 300'000};  // the last is more than MPI sends on its own account
  for (int i = 0; world().rank() > 0 && i < 3; ++i) {
    mail->send(fmt::format("{} {}", world().rank(), i) + std::string(sizes[i], 'x'));
  }
  std::map<int, int> next;
  while (world().rank() == 0 && mail->count() < 3 * (world().size() - 1)) {
    const auto text = mail->receive();
    if (!text) continue;
    std::istringstream words(*text);
    int sender = 0, number = 0;
    words >> sender >> number;
    EXPECT_EQ(number, next[sender]++);
    EXPECT_EQ(text->size(), sizes[number] + 3);
  }
  double count = static_cast<double>(mail->count());
  world().all_reduce_sum(std::span(&count, 1));
  EXPECT_EQ(count, 6.0 * (world().size() - 1));
}

TEST(Agree, TheReasonOfTheLowestFailingRankIsThrownOnAll) {
  agree(world(), [] {});
  for (int lowest = 0; lowest < world().size(); ++lowest) {
    try {
      agree(world(), [&] {
        if (world().rank() >= lowest) fail(ErrorKind::Input, "no data on {}", world().rank());
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const AgreedError& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Input);
      const std::string text = error.what();
      EXPECT_TRUE(text.ends_with(fmt::format("no data on {}", lowest))) << text;
      EXPECT_EQ(text.starts_with(fmt::format("rank {} of {} on ", lowest, world().size())), lowest > 0) << text;
      EXPECT_EQ(error.own() != nullptr, world().rank() >= lowest);
    }
  }
  EXPECT_TRUE(same_on_all(world(), 7));
  EXPECT_FALSE(same_on_all(world(), static_cast<std::uint64_t>(world().rank())));
}

TEST(Cores, RanksOfOneNodeShareThem) {
  double threads = cores_of_rank(world());
  world().all_reduce_sum(std::span(&threads, 1));
  const int online = static_cast<int>(std::thread::hardware_concurrency());
  EXPECT_LE(threads, std::max(online, world().size())) << "one each when there are more ranks";
}

// Nobody waits for anybody: each rank says something and looks until it has heard the others.
TEST(Attendance, TellsHowFarEachRankHasCome) {
  const std::unique_ptr<Attendance> attendance = world().attendance();
  const int ranks = world().size(), own = world().rank();
  EXPECT_EQ(attendance->heard(own), -1) << "nothing was said yet";
  attendance->say(7);
  attendance->say(100 + own);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (int rank = 0; rank < ranks; ++rank) {
    while (attendance->heard(rank) < 100 + rank && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_GE(attendance->heard(rank), 100);
    EXPECT_EQ(attendance->heard(rank) % 100, rank);
  }
  attendance->say(200 + own);  // perhaps heard by nobody, which must not keep MPI from ending
}

TEST(OnNode, HasTheRanksOfThisMachineInTheirOrder) {
  const std::unique_ptr<Communicator> node = world().on_node();
  EXPECT_EQ(node->size(), world().size());
  EXPECT_EQ(node->rank(), world().rank());
}

TEST(PlanBuckets, KeepsTheOrderAndClosesFullBuckets) {
  const std::vector<ParamId> order = {ParamId(2), ParamId(0), ParamId(1)};
  const std::vector<std::int64_t> counts = {100, 10, 300};
  const auto buckets = plan_buckets(order, counts, 1000);
  ASSERT_EQ(buckets.size(), 2u);
  EXPECT_EQ(buckets[0], std::vector<ParamId>({ParamId(2)}));
  EXPECT_EQ(buckets[1], std::vector<ParamId>({ParamId(0), ParamId(1)}));
}

}  // namespace
}  // namespace winnow
