// What processes tell the one that owns the console: every field survives the way, and nothing else is taken for news.
#include "experiments/run/trial_news.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace winnow {
namespace {

TEST(TrialNews, ComesBackAsItWasSent) {
  TrialNews news{.at = 7, .seconds = 2.5, .end = TrialEnd::Failed, .text = "failed: line\nand \xff another"};
  news.progress = {.step = 3, .steps = 10, .loss = 0.25, .test_acc = std::nullopt, .images_per_second = 1500};
  const std::string line = encode(news);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto back = decode(line);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->at, 7u);
  EXPECT_EQ(back->progress.step, 3);
  EXPECT_EQ(back->progress.steps, 10);
  EXPECT_EQ(back->progress.loss, 0.25);
  EXPECT_EQ(back->progress.test_acc, std::nullopt);
  EXPECT_EQ(back->progress.images_per_second, 1500);
  EXPECT_EQ(back->seconds, 2.5);
  EXPECT_EQ(back->end, TrialEnd::Failed);
  EXPECT_TRUE(back->text.starts_with("failed: line\nand ")) << back->text;
  EXPECT_FALSE(decode(encode({.at = 1}))->end);
}

TEST(TrialNews, CarriesWhatARuleDecided) {
  const RungDecision past{.trial = 3, .promoted = true, .rung = 2, .value = 0.75, .of = 9, .place = 1, .median = 0.5};
  const auto promoted = decode(encode({.at = 3, .decision = past}));
  ASSERT_TRUE(promoted && promoted->decision);
  EXPECT_EQ(promoted->decision->trial, 3u);
  EXPECT_TRUE(promoted->decision->promoted);
  EXPECT_EQ(fields_of(*promoted->decision), fields_of(past));
  EXPECT_EQ(fields_of(past).dump(), R"({"rung":2,"value":0.75,"of":9,"place":1,"median":0.5})");
  const RungDecision here{.trial = 4, .rung = 2, .of = 9};
  const auto stopped = decode(encode({.at = 4, .decision = here}));
  ASSERT_TRUE(stopped && stopped->decision);
  EXPECT_FALSE(stopped->decision->promoted);
  EXPECT_EQ(fields_of(*stopped->decision).dump(), R"({"rung":2,"value":null,"of":9})");
  EXPECT_FALSE(decode(encode({.at = 1}))->decision);
}

TEST(TrialNews, OtherLinesAndThoseCutShortAreNone) {
  EXPECT_FALSE(decode(""));
  EXPECT_FALSE(decode("libgomp: Thread creation failed"));
  const std::string line = encode({.at = 1});
  EXPECT_FALSE(decode(line.substr(0, line.size() - 1)));
}

TEST(FrontDesk, ShowsTheEndOfATrialAndTheWordsOfALibraryButNoBrokenNews) {
  TrialSpec spec;
  spec.id = "0123456789abcdef0123";
  spec.settings.set("data.name", "mnist");
  spec.settings.set("model.name", "lenet5");
  spec.settings.set("method.name", "rigl");
  spec.settings.set("method.density", "0.1");
  std::ostringstream out;
  Console console(false, false, out, Terminal{});
  const auto mail = make_self()->mail();
  const double cost = 1;
  const TrialTable trials(std::span(&spec, 1));
  FrontDesk desk(console, *mail, trials, std::span(&cost, 1));
  console.begin(1, 1, 1);
  using Line = FrontDesk::Line;
  EXPECT_EQ(desk.tell_line(encode({.at = 0})), Line::News);
  EXPECT_EQ(desk.tell_line(encode({.at = 0, .end = TrialEnd::Trained, .text = "test 0.5"})), Line::End);
  EXPECT_EQ(desk.tell_line("a library speaks"), Line::Words);
  EXPECT_EQ(desk.tell_line(encode({.at = 0}).substr(0, 9)), Line::Nothing);
  EXPECT_EQ(desk.tell_line("note something"), Line::Nothing);
  EXPECT_EQ(desk.tell_line("note something"), Line::Nothing) << "of another worker";
  const std::string said = out.str();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 3) << said;
  EXPECT_TRUE(said.starts_with("[1/1] 0123456789abcdef0123-r0 ")) << said;
  for (const char* word : {"rigl 0.1", "lenet5 on mnist", "test 0.5\n", "a library speaks\n", "note something\n"}) {
    EXPECT_NE(said.find(word), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace winnow
