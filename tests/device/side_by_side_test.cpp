// Several trials on one device at once, each on a thread and a stream of its own: to a bit what each is alone.
#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/device/emulated.h"
#include "tests/training/process.h"

namespace winnow::test {
namespace {

struct SideTrial {
  Pairs method, train;
};

struct SideResult {
  double loss = 0;
  std::vector<float> weights;
  std::string error;
  bool operator==(const SideResult&) const = default;
};

SideResult train_on(const SideTrial& of, std::shared_ptr<DeviceStream> stream) {
  SideResult result;
  try {
    Pairs settings = {{"epochs", "2"}, {"batch", "4"}, {"eval_batch", "10"}};
    settings.insert(settings.end(), of.train.begin(), of.train.end());
    SmallTrial trial("lenet300", of.method, settings,
                     {{"height", "8"},
                      {"width", "8"},
                      {"channels", "3"},
                      {"classes", "3"},
                      {"examples", "16"},
                      {"test_examples", "10"}});
    ProgramCache programs(std::move(stream));
    TrainJob job = trial.job();
    job.programs = &programs;
    Trainer trainer(job);
    trainer.run();
    result = {trainer.evaluate(Split::Test).loss, all_weights(trainer), ""};
  } catch (const std::exception& error) {
    result.error = error.what();
  }
  return result;
}

TEST(SideBySide, TrialsGiveTheBitsThatEachGivesAlone) {
  const std::vector<SideTrial> trials = {
      {{{"name", "dense"}}, {{"lr", "0.01"}}},
      {{{"name", "rigl"}, {"density", "0.2"}}, {{"lr", "0.01"}}},
      {{{"name", "gmp"}, {"density", "0.2"}}, {{"optimizer", "adam"}, {"lr", "0.001"}}},
      {{{"name", "dense"}}, {{"lr", "0.1"}}}};
  in_every_order([&] {
    std::vector<SideResult> alone, together(trials.size());
    for (const SideTrial& trial : trials) alone.push_back(train_on(trial, open_device()));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < trials.size(); ++i) {
      threads.emplace_back([&, i] { together[i] = train_on(trials[i], open_device()); });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < trials.size(); ++i) {
      EXPECT_EQ(alone[i].error, "");
      EXPECT_EQ(together[i], alone[i]) << "trial " << i << ": " << together[i].error;
    }
  });
}

}  // namespace
}  // namespace winnow::test
