#include "core/settings.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

using Kind = Setting::Kind;
using Values = std::map<std::string, std::string, std::less<>>;

const Schema& schema() {
  static const Schema all = {
      {.key = "nesterov", .kind = Kind::Bool, .fallback = "false"},
      {.key = "batch", .kind = Kind::Int, .fallback = "128", .range = Range{1, 1e6}},
      {.key = "lr", .kind = Kind::Real, .fallback = "0.1", .range = Range{0, 10, true}},
      {.key = "note", .kind = Kind::Text, .fallback = ""},
      {.key = "optimizer", .kind = Kind::Choice, .fallback = "sgd", .choices = {"sgd", "adam"}},
      {.key = "epochs", .kind = Kind::Length, .fallback = "160ep"},
      {.key = "interval", .kind = Kind::Length, .fallback = "100it"},
      {.key = "sizes", .kind = Kind::IntList, .fallback = "[300, 100]", .range = Range{1, 1000}},
      {.key = "gammas", .kind = Kind::RealList, .fallback = "[]"},
      {.key = "layers", .kind = Kind::TextList, .fallback = "[]"},
      {.key = "at", .kind = Kind::LengthList, .fallback = "[80ep, 120ep]"},
      {.key = "root", .kind = Kind::Path, .fallback = "$DATA"},
      {.key = "schedule.kind", .kind = Kind::Choice, .fallback = "step", .choices = {"step"}},
  };
  return all;
}

std::string canonical(const std::string& key, const std::string& text) {
  return resolve(schema(), Settings(Values{{key, text}})).text(key);
}

std::string problem(const std::string& key, const std::string& text) {
  std::vector<SettingProblem> problems;
  resolve(schema(), Settings(Values{{key, text}}), problems);
  return problems.size() == 1 && problems[0].key == key ? problems[0].text : "no single problem";
}

TEST(Settings, EachNumberHasOneSpelling) {
  for (const char* text : {"0.0001", "1e-4", "1.0e-4", "+.0001", "0.1E-3", " 0.00010 "}) {
    EXPECT_EQ(canonical("lr", text), "0.0001") << text;
  }
  EXPECT_EQ(canonical("lr", "0.1"), "0.1");
  EXPECT_EQ(canonical("lr", "1"), "1");
  EXPECT_EQ(canonical("lr", "1."), "1");
  EXPECT_EQ(canonical("lr", "1.50"), "1.5");
  EXPECT_EQ(canonical("lr", "1e-8"), "1e-8");
  EXPECT_EQ(canonical("lr", "12.5e-9"), "1.25e-8");
  EXPECT_EQ(canonical("gammas", "[-0.0, 1e20, -12e3, 123456.75]"), "[0, 1e20, -12000, 123456.75]");
}

TEST(Settings, DecimalTextIsNotRoundedThroughADouble) {
  EXPECT_EQ(canonical("lr", "0.1000000000000000000000000001"), "0.1000000000000000000000000001");
}

TEST(Settings, CanonicalTextOfEveryKind) {
  EXPECT_EQ(canonical("nesterov", "True"), "true");
  EXPECT_EQ(canonical("batch", "064"), "64");
  EXPECT_EQ(canonical("note", " a b "), "a b");
  EXPECT_EQ(canonical("optimizer", "adam"), "adam");
  EXPECT_EQ(canonical("epochs", "3"), "3ep");
  EXPECT_EQ(canonical("epochs", "3 ep"), "3ep");
  EXPECT_EQ(canonical("epochs", "500it"), "500it");
  EXPECT_EQ(canonical("interval", "500"), "500it");
  EXPECT_EQ(canonical("interval", "5ep"), "5ep");
  EXPECT_EQ(canonical("sizes", "[1,2 , 3]"), "[1, 2, 3]");
  EXPECT_EQ(canonical("sizes", "7"), "[7]");
  EXPECT_EQ(canonical("layers", "[conv1,fc]"), "[conv1, fc]");
  EXPECT_EQ(canonical("at", "[80, 500it]"), "[80ep, 500it]");
  EXPECT_EQ(canonical("root", "$DATA/x"), "$DATA/x");
}

TEST(Settings, WrongValuesSayWhatIsAllowed) {
  EXPECT_EQ(problem("lr", "0"), "must be in (0, 10], is 0");
  EXPECT_EQ(problem("lr", "fast"), "must be a number, is fast");
  EXPECT_EQ(problem("lr", "nan"), "must be a number, is nan");
  EXPECT_EQ(problem("lr", "0x1p3"), "must be a number, is 0x1p3");
  EXPECT_EQ(problem("lr", "1e"), "must be a number, is 1e");
  EXPECT_EQ(problem("lr", ""), "must be a number, is empty");
  EXPECT_EQ(problem("batch", "1.5"), "must be an integer, is 1.5");
  EXPECT_EQ(problem("batch", "99999999999999999999"), "must be an integer, is 99999999999999999999");
  EXPECT_EQ(problem("nesterov", "yes"), "must be true or false, is yes");
  EXPECT_EQ(problem("optimizer", "adan"), "must be one of sgd, adam, is adan; did you mean 'adam'?");
  EXPECT_EQ(problem("epochs", "-1"), "must be a length such as 160 (epochs), 160ep or 30000it, is -1");
  EXPECT_EQ(problem("sizes", "[1, 2000]"), "each item must be in [1, 1000], is 2000");
  EXPECT_EQ(problem("sizes", "[1, 2"), "must be a list of integers, is [1, 2");
  EXPECT_EQ(problem("sizes", "[1,,2]"), "must be a list of integers, is [1,,2]");
  EXPECT_EQ(problem("note", "a\nlr=3"), "must not hold control characters");
  EXPECT_EQ(problem("learning_rate", "1"), "unknown key; did you mean 'lr'?");
  EXPECT_EQ(problem("qqqqqq", "1"), "unknown key");
}

TEST(Settings, EveryProblemIsReportedAndDefaultsFillIn) {
  Schema required = schema();
  required.push_back({.key = "density", .fallback = {}});
  std::vector<SettingProblem> problems;
  const Settings resolved = resolve(required, Settings(Values{{"lr", "x"}, {"batch", "0"}, {"bach", "1"}}), problems);
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_EQ(resolved.text("at"), "[80ep, 120ep]");
  EXPECT_EQ(resolved.text("note"), "");
  EXPECT_THROW(resolve(required, Settings(Values{})), Error);
}

TEST(Settings, TypedGettersReadBackOrNameTheKey) {
  const Settings s = resolve(schema(), Settings(Values{{"lr", "+0.25"}, {"gammas", "[1, 2.5e-3]"}}));
  EXPECT_EQ(s.real("lr"), 0.25);
  EXPECT_EQ(s.reals("gammas"), (std::vector<double>{1, 0.0025}));
  EXPECT_EQ(s.integer("batch"), 128);
  EXPECT_FALSE(s.flag("nesterov"));
  EXPECT_EQ(s.integers("sizes"), (std::vector<std::int64_t>{300, 100}));
  EXPECT_EQ(s.length("epochs").steps(10), 1600);
  EXPECT_EQ(s.lengths("at").at(1).count, 120);
  EXPECT_TRUE(s.texts("layers").empty());
  EXPECT_EQ(s.below("schedule").text("kind"), "step");
  EXPECT_FALSE(s.below("sched").has("ule.kind"));
  for (const char* key : {"absent", "optimizer"}) {
    try {
      s.integer(key);
      FAIL() << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Settings);
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos);
    }
  }
}

TEST(Settings, RangeTextShowsOpenAndClosedEnds) {
  EXPECT_EQ((Range{0, 1, true, false}.text()), "(0, 1]");
  EXPECT_EQ((Range{0, std::numeric_limits<double>::infinity()}.text()), "[0, inf)");
}

TEST(Settings, NearestSuggestsSlipsAndAbbreviationsOnly) {
  const std::vector<std::string> names = {"train.lr", "train.batch", "train.epochs", "method.density"};
  EXPECT_EQ(nearest("train.learning_rate", names), "train.lr");
  EXPECT_EQ(nearest("train.batch_size", names), "train.batch");
  EXPECT_EQ(nearest("train.epcohs", names), "train.epochs");
  EXPECT_EQ(nearest("method.densty", names), "method.density");
  EXPECT_EQ(nearest("site.partition", names), std::nullopt);
}

}  // namespace
}  // namespace winnow
