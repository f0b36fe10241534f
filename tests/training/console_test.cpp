// The picture of a run, drawn for windows of several sizes, and what reaches a terminal and a log.
#include "experiments/run/console.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "experiments/text.h"

namespace winnow::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TrialRow row(const std::string& name, std::int64_t step, double took, double cost = 10) {
  return {.name = name,
          .label = "rigl 0.05",
          .place = "lenet300 on fashion-mnist",
          .step = step,
          .steps = 100,
          .loss = 0.5,
          .images_per_second = 4000,
          .seconds = took,
          .cost = cost};
}

// What a terminal of `columns` shows after `bytes`: the sequences of Console, and lines that wrap.
std::vector<std::string> screen(const std::string& bytes, std::size_t columns) {
  std::vector<std::string> lines(1);
  std::size_t y = 0, x = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\033') {
      const std::size_t end = bytes.find_first_of("AJKm", i);
      const std::size_t count = std::strtoull(bytes.c_str() + i + 2, nullptr, 10);
      if (bytes[end] == 'A') y -= std::min(y, count);
      if (bytes[end] == 'J') {
        lines.resize(y + 1);
        lines[y].resize(std::min(lines[y].size(), x));
      }
      i = end;
    } else if (bytes[i] == '\r') {
      x = 0;
    } else if (bytes[i] == '\n' || x == columns) {
      if (bytes[i] != '\n') --i;
      x = 0;
      if (++y == lines.size()) lines.emplace_back();
    } else {
      lines[y].resize(std::max(lines[y].size(), x + 1), ' ');
      lines[y][x++] = bytes[i];
    }
  }
  return lines;
}

class Picture : public ::testing::Test {
 protected:
  void SetUp() override { window(80); }
  void TearDown() override {
    unsetenv("COLUMNS");
    unsetenv("LINES");
  }
  static void window(int columns) { setenv("COLUMNS", std::to_string(columns).c_str(), 1); }
  void later(milliseconds more) { console_->tick(now_ += more); }

  std::ostringstream out_;
  steady_clock::time_point now_ = steady_clock::now();
  std::optional<Console> console_;
};

TEST_F(Picture, FitsWindowsOfEverySize) {
  console_.emplace(false, true, out_, Terminal{.live = true});
  console_->begin(34, 340, 4);
  console_->end(row("aaaaaaaa00000000-r0", 100, 12), TrialEnd::Diverged, "diverged: loss");
  for (int i = 0; i < 12; ++i) console_->update(row("bbbbbbbb0000000" + std::to_string(i) + "-r0", 5 * i, i));
  for (const std::size_t columns : {20u, 40u, 60u, 80u, 140u}) {
    for (const std::size_t rows : {2u, 5u, 8u, 24u}) {
      const auto lines = console_->block(columns, rows);
      EXPECT_LT(lines.size(), rows);
      for (const std::string& line : lines) EXPECT_LE(display_width(line), columns) << line;
    }
  }
  EXPECT_EQ(console_->block(80, 24).back().find("and"), std::string::npos) << "there is room for all twelve";
  EXPECT_EQ(console_->block(80, 8).back(), "and 8 more");
}

TEST_F(Picture, CountsWhatHasEnded) {
  console_.emplace(false, true, out_, Terminal{});
  console_->begin(3, 30, 2);
  console_->update(row("first-r0", 10, 1));
  console_->end(row("second-r0", 100, 5), TrialEnd::Trained, "test 0.9");
  console_->end(row("first-r0", 100, 9), TrialEnd::Failed, "failed: no memory");
  EXPECT_EQ(out_.str(),
            "[1/3] second-r0 rigl 0.05, lenet300 on fashion-mnist  test 0.9\n"
            "[2/3] first-r0 rigl 0.05, lenet300 on fashion-mnist  failed: no memory\n");
}

TEST_F(Picture, TimeLeftFollowsTrialsThatTrained) {
  console_.emplace(false, true, out_, Terminal{});
  console_->begin(4, 40, 1);
  EXPECT_FALSE(console_->seconds_left());
  TrialRow diverged = row("d-r0", 3, 0.1);
  console_->end(diverged, TrialEnd::Diverged, "diverged");
  EXPECT_FALSE(console_->seconds_left()) << "a diverged trial says nothing of the others";
  console_->end(row("a-r0", 100, 20), TrialEnd::Trained, "test");
  EXPECT_NEAR(*console_->seconds_left(), 40, 1e-9);  // two trials of cost 10 at 2 s a unit
  console_->update(row("b-r0", 50, 5));              // now half of one in 5 s: 25 s for 15 units
  EXPECT_NEAR(*console_->seconds_left(), 5 + 10 * 25.0 / 15, 1e-9);
}

TEST_F(Picture, TwoAtATimeTakeHalfAsLongButNotLessThanTheLongest) {
  console_.emplace(false, true, out_, Terminal{});
  console_->begin(4, 40, 2);
  console_->update(row("a-r0", 50, 10));
  console_->update(row("b-r0", 50, 10));
  EXPECT_NEAR(*console_->seconds_left(), (10 + 10 + 40) / 2.0, 1e-9);
  console_->begin(2, 20, 2);
  console_->update(row("b-r0", 10, 10));
  EXPECT_NEAR(*console_->seconds_left(), 90, 1e-9);
}

TEST_F(Picture, ATerminalKeepsOnlyTheLinesOfEndedTrials) {
  console_.emplace(false, true, out_, Terminal{.live = true});
  console_->begin(3, 30, 1);
  for (int i = 0; i < 5; ++i) {
    console_->update(row("first-r0", 20 * i, i));
    later(milliseconds(300));
  }
  const auto during = screen(out_.str(), 80);
  ASSERT_GE(during.size(), 3u);
  EXPECT_NE(during[0].find("0 of 3 trials"), std::string::npos) << during[0];
  EXPECT_EQ(during.size(), console_->block(79, 24).size() + 1) << "no line of an earlier picture is left";
  window(40);  // made narrower: the terminal wraps what is there
  later(milliseconds(300));
  console_->end(row("first-r0", 100, 5), TrialEnd::Trained, "test 0.9");
  console_.reset();
  const auto after = screen(out_.str(), 200);
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0], "[1/3] first-r0 rigl 0.05, lenet300 on fashion-mnist  test 0.9");
}

TEST_F(Picture, ALogGetsAPlainLineEveryHalfMinute) {
  console_.emplace(false, true, out_, Terminal{});
  console_->begin(3, 30, 1);
  console_->update(row("first-r0", 50, 10));
  for (int i = 0; i < 65; ++i) later(std::chrono::seconds(1));
  const std::string line = "0 of 3 trials, 1 running, 50 s left, 4 k images/s\n";
  EXPECT_EQ(out_.str(), line + line);
}

TEST_F(Picture, OtherProcessesAndQuietRunsDrawNothing) {
  console_.emplace(false, false, out_, Terminal{.live = true});
  console_->update(row("first-r0", 50, 10));
  later(std::chrono::seconds(100));
  EXPECT_EQ(out_.str(), "");
  console_.emplace(true, true, out_, Terminal{.live = true});
  console_->end(row("first-r0", 50, 10), TrialEnd::Trained, "test");
  console_->line("x");
  console_->leave("other-r0", "left after 1 ep");
  EXPECT_EQ(out_.str(), "");
  console_->end(row("next-r0", 50, 10), TrialEnd::Failed, "no room");
  EXPECT_NE(out_.str().find("no room"), std::string::npos) << "what went wrong is said";
  EXPECT_EQ(out_.str().find('\n'), out_.str().size() - 1) << "one line";
}

TEST_F(Picture, BestIsKeptForEachModelAndDataSet) {
  console_.emplace(false, true, out_, Terminal{});
  console_->begin(3, 30, 1);
  for (const auto& [accuracy, place] : {std::pair{0.5, "a on x"}, {0.7, "a on x"}, {0.6, "b on x"}, {0.6, "a on x"}}) {
    TrialRow one = row("0123456789abcdef-r0", 100, 5);
    one.test_acc = accuracy;
    one.place = place;
    console_->end(one, TrialEnd::Trained, "test");
  }
  const auto lines = console_->block(80, 24);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1], "best 70.00 %  rigl 0.05, a on x  01234567-r0");
  EXPECT_EQ(lines[2], "best 60.00 %  rigl 0.05, b on x  01234567-r0");
}

TEST(Terminal, ColoursAreForTerminalsThatWantThem) {
  EXPECT_EQ(Terminal{.live = true}.paint(Colour::Red, "x"), "x");
  EXPECT_EQ((Terminal{.live = true, .colours = true}).paint(Colour::Red, "x"), "\033[31mx\033[0m");
}

TEST(Texts, AreClippedByCharactersAndNotByBytes) {
  EXPECT_EQ(clipped("5 ± 1 %", 7), "5 ± 1 %");
  EXPECT_EQ(clipped("± ± ± ± ±", 6), "± ±...");
  EXPECT_EQ(clipped("abc", 2), "..");
  EXPECT_EQ(bar(0.5, 10), "[####....]");
}

}  // namespace
}  // namespace winnow::test
