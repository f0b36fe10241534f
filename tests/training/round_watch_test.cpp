// How long a rank waits for others at the end of a round.
#include "experiments/run/round_watch.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "core/clock.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class RoundEnds : public RunFixture {
 protected:
  RoundEnds() : RunFixture("  - replicate: 3\n") {}
  void SetUp() override {
    RunFixture::SetUp();
    std::filesystem::create_directories(out() / "running");
    trials_ = trials();
  }
  // A heartbeat of one of the trials, on a machine whose clock is wrong.
  void beat(std::size_t at, std::int64_t step) const {
    const std::filesystem::path path = out() / "running" / (trials_.name(at) + ".json");
    files_.replace(
        path, fmt::format(R"({{"host": "other", "process": 1, "started": 900, "updated": 1000, "step": {}}})", step));
  }
  void end(std::size_t at) const { std::filesystem::remove(out() / "running" / (trials_.name(at) + ".json")); }

  // What the watch says when it gives up; nothing: not within `seconds`. `meanwhile` is given how often it was called before.
  std::optional<std::string> gives_up_within(double seconds, const std::function<void(std::int64_t)>& meanwhile) {
    const auto world = make_self();
    RoundWatch watch(*world, files_, out(), 0.4);
    watch.begin();
    const double begun = seconds_now();
    try {
      for (std::int64_t looks = 0; seconds_now() - begun < seconds; ++looks) {
        meanwhile(looks);
        watch.look();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    } catch (const RanksLost& lost) {
      return lost.what();
    }
    return std::nullopt;
  }

  TrialTable trials_;
};

TEST_F(RoundEnds, AreWaitedForAsLongAsATrialGoesOn) {
  beat(0, 7);  // its process is gone
  EXPECT_EQ(gives_up_within(1.5, [&](std::int64_t looks) { beat(1, looks); }), std::nullopt);
}

TEST_F(RoundEnds, AreWaitedForAsLongAsTrialsBeginAndEnd) {
  EXPECT_EQ(gives_up_within(1.5,
                            [&](std::int64_t looks) {
                              const auto second = static_cast<std::size_t>(looks / 8 % 2);
                              end(1 - second);
                              beat(second, 3);
                            }),
            std::nullopt);
}

TEST_F(RoundEnds, AreGivenUpWhereNothingGoesOn) {
  beat(0, 7);
  const std::optional<std::string> said = gives_up_within(30, [](std::int64_t) {});
  ASSERT_TRUE(said);
  EXPECT_EQ(*said, "the end of a round of 1 ranks: no trial in " + out().string() +
                       " has shown a sign of life for 0.4 s; every rank says that it waits for it");
}

TEST_F(RoundEnds, AreWaitedForWhereTheFolderCannotBeRead) {
  class Unreadable final : public PosixFiles {
    std::vector<std::string> names(const Path& folder) override {
      fail(ErrorKind::Io, "cannot list '{}': Stale file handle", folder.string());
    }
  } files;
  const auto world = make_self();
  RoundWatch watch(*world, files, out(), 0.1);
  watch.begin();
  for (const double begun = seconds_now(); seconds_now() - begun < 0.5;) EXPECT_NO_THROW(watch.look());
}

}  // namespace
}  // namespace winnow::test
