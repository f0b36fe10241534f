// A rank that trains several trials at once on its GPU: what a fault of the device does to them. In this process.
#include "tests/device/emulated.h"

#if defined(WINNOW_EMULATED)
#include <atomic>
#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/run_trial.h"
#include "tests/device/run_on_emulated.h"
#include "tests/training/rounds_of_one_rank.h"

namespace winnow::test {
namespace {

class RankLanes : public RunOnEmulated {
 protected:
  RankLanes() : RunOnEmulated("  - train.epochs: [4, 3]\n  - train.device: [cuda]\n") {}
  // By a rank whose first thread is a new one: what it keeps of the device ends with it.
  int train(int at_once) {
    return std::async(std::launch::async,
                      [&] {
                        RoundsOfOneRank run(table_, files_, out(),
                                            {.devices = {.gpus = 1, .name = "", .problem = ""}, .at_once = at_once});
                        EXPECT_TRUE(run.rounds.train_all({0, 1})) << run.said.str();
                        return static_cast<int>(run.tally[Tally::Trained]);
                      })
        .get();
  }
  std::vector<std::string> digests() const {
    std::vector<std::string> all;
    for (std::size_t at = 0; at < table_.size(); ++at) {
      all.push_back(read_header(files_, Layout(out()).trial(table_.name(at))).content_digest);
    }
    return all;
  }
  void SetUp() override {
    RunOnEmulated::SetUp();
    table_ = trials();
  }
  TrialTable table_;
};

TEST_F(RankLanes, AFaultOfTheDeviceCountsAgainstNoneAndEachIsTrainedAloneLater) {
  EXPECT_EQ(train(1), 2);
  const auto alone = digests();
  std::filesystem::remove_all(out());
  emulator::reset();
  std::atomic<bool> struck = false;
  emulator::before_launches([&] {
    PosixFiles files;
    for (int looks = 0; !struck && read_running(files, out(), unix_now()).size() < 2 && looks < 60'000; ++looks) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (!struck.exchange(true)) emulator::fail_device(0, cudaErrorIllegalAddress);
  });
  EXPECT_THROW(train(2), DeviceLost);
  EXPECT_FALSE(files_.exists(Layout(out()).failure(table_.name(0))));
  EXPECT_FALSE(files_.exists(Layout(out()).failure(table_.name(1))));
  for (std::size_t at = 0; at < 2; ++at) {
    CheckpointFolder folder(files_, out(), table_.name(at));
    ASSERT_EQ(folder.crashes(), 1u) << at;
    const auto note = nlohmann::json::parse(text_of(files_.read(folder.crash_path(1))));
    EXPECT_TRUE(note.at("beside_others")) << note;
    EXPECT_NE(note.at("reason").get<std::string>().find("an illegal memory access was encountered"), std::string::npos);
  }
  emulator::reset();
  EXPECT_EQ(train(2), 2);
  EXPECT_EQ(digests(), alone);
  EXPECT_EQ(CheckpointFolder(files_, out(), table_.name(0)).crashes(), 0u);
}

}  // namespace
}  // namespace winnow::test
#endif
