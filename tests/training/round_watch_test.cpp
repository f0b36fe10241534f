// How long a rank waits for others at the end of a round.
#include "experiments/run/round_watch.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "core/clock.h"
#include "experiments/results/progress_file.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class RoundEnds : public RunFixture {
 protected:
  RoundEnds() : RunFixture("  - replicate: 1\n") {}
  // Seconds until the watch gives up, what it says then; nothing: not within `seconds`.
  std::optional<std::string> gives_up_within(double seconds) {
    const auto world = make_self();
    RoundWatch watch(*world, files_, out(), 0.3);
    watch.begin();
    const double begun = seconds_now();
    try {
      while (seconds_now() - begun < seconds) {
        watch.look();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    } catch (const RanksLost& lost) {
      return lost.what();
    }
    return std::nullopt;
  }
};

TEST_F(RoundEnds, AreWaitedForAsLongAsATrialShowsSignsOfLife) {
  const TrialTable table = trials();
  const ProgressFile in_work(files_, out(), table[0], 1);
  EXPECT_EQ(gives_up_within(1), std::nullopt);
}

TEST_F(RoundEnds, AreGivenUpWhereNobodyTrains) {
  const std::optional<std::string> said = gives_up_within(30);
  ASSERT_TRUE(said);
  EXPECT_EQ(*said, "the end of a round of 1 ranks: no trial in " + out().string() +
                       " has shown a sign of life for 0.3 s; every rank says that it waits for it");
}

TEST_F(RoundEnds, AreGivenUpWhereAHeartbeatIsOld) {
  std::filesystem::create_directories(out() / "running");
  std::ofstream(out() / "running" / (trials().name(0) + ".json"))
      << R"({"host": "gone", "process": 1, "updated": 1000})";
  EXPECT_TRUE(gives_up_within(30));
}

}  // namespace
}  // namespace winnow::test
