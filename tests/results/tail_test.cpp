// `winnow tail`: what journals say of trials, once and in order, while they grow; and nothing is changed by looking.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "experiments/results/failure_file.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class Tail : public RunFixture {
 protected:
  Tail() : RunFixture("  - replicate: 2\n") {}
  void SetUp() override {
    RunFixture::SetUp();
    write_plan(files_, out(), trials());
  }
  static std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  nlohmann::ordered_json epoch(std::size_t trial, int number, double time) const {
    return {{"kind", "epoch"}, {"time", time},       {"trial", trials().name(trial)},
            {"epoch", number}, {"step", 4 * number}, {"loss", 0.5 / number},
            {"test_acc", 0.9}};
  }
  std::string line(std::size_t trial, int number) const {
    return fmt::format("{}  epoch {}  step {}  loss {:.6g}  test 90 %", trials().name(trial), number, 4 * number,
                       0.5 / number);
  }
  // Name, size and time of change of all there is.
  std::vector<std::string> all_files() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out())) {
      const auto stamp = files_.stamp(entry.path());
      found.push_back(fmt::format("{} {} {}", entry.path().string(), stamp->size, stamp->changed));
    }
    std::ranges::sort(found);
    return found;
  }
};

TEST_F(Tail, TheLastLinesOfAFinishedRunAndThenItEnds) {
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1"}).code, 0);
  const auto before = all_files();
  const RunSaid said = winnow({"tail", "--lines", "3"});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto lines = lines_of(said.out);
  ASSERT_EQ(lines.size(), 3u) << said.out;
  EXPECT_TRUE(lines[0].starts_with(trials().name(1) + "  start")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with(trials().name(1) + "  epoch 1  step 4  loss ")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with(trials().name(1) + "  done  test ")) << lines[2];
  for (const std::string& text : lines_of(winnow({"tail", "--once", "--json", "--trial", trials().name(0)}).out)) {
    const auto json = nlohmann::json::parse(text);
    EXPECT_EQ(json.at("schema"), "winnow-tail");
    EXPECT_EQ(json.at("trial"), trials().name(0));
    EXPECT_EQ(json.at("journal"), "run.a0001.jnl");
  }
  EXPECT_EQ(all_files(), before);
  EXPECT_EQ(winnow({"tail", "--lines", "-1"}).code, 64);
}

TEST_F(Tail, FollowsJournalsThatGrowAndNewOnesUntilAllHaveEnded) {
  auto first = std::make_unique<ProgressFile>(files_, out(), trials()[0], 1);
  JournalWriter one(files_, out(), "run");
  one.append(epoch(0, 1, 100));
  std::ostringstream text, errors;
  std::thread tail([&] {
    EXPECT_EQ(run_command_line(std::vector<std::string>{"tail", sweep_, "-o", out().string()}, text, errors), 0);
  });
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1300)); };
  pause();
  one.append(epoch(0, 2, 101));
  JournalWriter two(files_, out(), "s0001");
  two.append(epoch(1, 1, 102));
  pause();
  // A line that is half there is not shown, and then once.
  const auto path = journals(files_, out()).front();
  {
    JournalWriter elsewhere(files_, folder_ / "elsewhere", "run");
    elsewhere.append(epoch(0, 3, 103));
  }
  const std::string whole = text_of(files_.read(journals(files_, folder_ / "elsewhere").front()));
  std::ofstream(path, std::ios::app) << whole.substr(0, whole.size() / 2) << std::flush;
  pause();
  std::ofstream(path, std::ios::app) << whole.substr(whole.size() / 2) << std::flush;
  pause();
  two.append(epoch(1, 2, 104));
  record_failure(files_, out(), trials()[0], "no luck");
  record_failure(files_, out(), trials()[1], "no luck");
  first.reset();
  tail.join();
  EXPECT_EQ(lines_of(text.str()), (std::vector{line(0, 1), line(0, 2), line(1, 1), line(0, 3), line(1, 2)}))
      << errors.str();
}

TEST_F(Tail, SaysWhatARuleDecided) {
  {
    JournalWriter writer(files_, out(), "run");
    writer.append({{"kind", "promoted"},
                   {"time", 1},
                   {"trial", trials().name(0)},
                   {"rule", "halving"},
                   {"metric", "val_acc"},
                   {"rung", 2},
                   {"value", 0.75},
                   {"of", 9},
                   {"place", 1}});
    writer.append({{"kind", "stopped"},
                   {"time", 2},
                   {"trial", trials().name(1)},
                   {"rule", "halving"},
                   {"metric", "val_acc"},
                   {"rung", 2},
                   {"value", nullptr},
                   {"of", 9}});
  }
  const RunSaid said = winnow({"tail", "--once"});
  EXPECT_EQ(lines_of(said.out),
            (std::vector<std::string>{trials().name(0) + "  promoted  at epoch 2  val_acc 0.75  1 of 9",
                                      trials().name(1) + "  stopped  at epoch 2"}));
}

TEST_F(Tail, ADamagedLineHidesNoOther) {
  {
    JournalWriter writer(files_, out(), "run");
    for (int number = 1; number <= 3; ++number) writer.append(epoch(0, number, number));
  }
  const auto path = journals(files_, out()).front();
  std::string text = text_of(files_.read(path));
  text[text.find('\n') + 20] ^= 1;
  std::ofstream(path, std::ios::trunc) << text;
  EXPECT_EQ(lines_of(winnow({"tail", "--once"}).out), (std::vector{line(0, 1), line(0, 3)}));
}

}  // namespace
}  // namespace winnow::test
