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
      {.key = "milestones", .kind = Kind::LengthList, .fallback = "[]", .is_set = true},
      {.key = "bands", .kind = Kind::IntList, .fallback = "[]", .is_set = true},
      {.key = "own", .kind = Kind::NamedReals, .fallback = "[]", .range = Range{0, 1}, .is_set = true},
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

// Text that reads back as the same double is the same setting; up to 15 digits stay as they are.
TEST(Settings, SpellingsOfOneDoubleAreOneText) {
  for (const char* text : {"0.1", "0.10000000000000001", "0.1000000000000000055", "0.1000000000000000000000000001"}) {
    EXPECT_EQ(canonical("lr", text), "0.1") << text;
  }
  EXPECT_EQ(canonical("lr", "0.10000000000000002"), "0.10000000000000002") << "the next double";
  EXPECT_EQ(canonical("lr", "0.123456789012345"), "0.123456789012345");
  EXPECT_EQ(canonical("gammas", "[123456789012345678, 1e-400]"), "[1.2345678901234568e17, 0]");
}

TEST(Settings, NothingIsNothingInEitherUnit) {
  EXPECT_EQ(canonical("epochs", "0it"), "0ep");
  EXPECT_EQ(canonical("interval", "0ep"), "0it");
}

TEST(Settings, SetsAreAscendingAndHoldNothingTwice) {
  EXPECT_EQ(canonical("milestones", "[120, 500it, 80]"), "[80ep, 120ep, 500it]");
  EXPECT_EQ(canonical("bands", "[3, 10, 1]"), "[1, 3, 10]");
  EXPECT_EQ(canonical("own", "[last=0.20, conv1=1e-1]"), "[conv1=0.1, last=0.2]");
  EXPECT_EQ(problem("milestones", "[1, 2, 1ep]"), "holds 1ep twice");
  EXPECT_EQ(problem("bands", "[3, 03]"), "holds 3 twice");
  EXPECT_EQ(problem("own", "[last=0.1, last=0.2]"), "holds last twice");
  EXPECT_EQ(problem("own", "[last=2]"), "each item must be in [0, 1], is last=2");
  EXPECT_EQ(problem("own", "[last]"), "each item must be name=number, is last");
  const Settings s = resolve(schema(), Settings(Values{{"own", "[a=0.5]"}}));
  EXPECT_EQ(s.named_reals("own"), (std::vector<std::pair<std::string, double>>{{"a", 0.5}}));
}

TEST(Settings, WhatIsNotReadHasItsDefaultAndSaysWhenItIsRead) {
  const Schema all = {
      {.key = "optimizer", .kind = Kind::Choice, .fallback = "sgd", .choices = {"sgd", "adam"}},
      {.key = "momentum", .fallback = "0.9", .read_when = {{where("optimizer", {"sgd"})}}},
      {.key = "nesterov", .kind = Kind::Bool, .fallback = "false", .read_when = {{unless("momentum", {"0"})}}},
      {.key = "rate", .fallback = {}, .read_when = {{where("optimizer", {"adam"})}, {where("nesterov", {"true"})}}}};
  EXPECT_EQ(read_when_text(all[3], "train."), "train.optimizer is adam, or train.nesterov is true");
  EXPECT_EQ(read_when_text(all[2]), "momentum is not 0");
  const Settings sgd = resolve(all, Settings(Values{{"momentum", "0.5"}}));
  EXPECT_EQ(sgd.text("momentum"), "0.5");
  EXPECT_FALSE(sgd.has("rate")) << "required only where it is read";
  const Settings adam = resolve(all, Settings(Values{{"optimizer", "adam"}, {"momentum", "0.5"}, {"rate", "1"}}));
  EXPECT_EQ(adam.text("momentum"), "0.9");
  EXPECT_FALSE(is_read(all, all[2], adam)) << "a condition on what is itself not read does not hold";
  std::vector<SettingProblem> problems;
  resolve(all, Settings(Values{{"optimizer", "adam"}}), problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].key, "rate");
}

TEST(Settings, AValueThatWouldFollowAnywayIsADefault) {
  const Schema all = {{.key = "levels", .kind = Kind::Int, .fallback = "0"},
                      {.key = "density", .fallback = "0.2", .derive = [](const Settings& s) {
                         return s.integer("levels") == 0 ? "" : std::string("1e-1");
                       }}};
  const auto given = [&](const char* levels, const char* density) {
    return resolve(all, Settings(Values{{"levels", levels}, {"density", density}}));
  };
  EXPECT_EQ(resolve(all, Settings(Values{{"levels", "3"}})).text("density"), "0.1") << "in its one spelling";
  EXPECT_TRUE(is_default(all[1], given("0", "0.2")));
  EXPECT_TRUE(is_default(all[1], given("3", "0.1")));
  EXPECT_FALSE(is_default(all[1], given("3", "0.2")));
}

TEST(Settings, ACopyThatIsChangedIsItsOwn) {
  const Settings base(Values{{"a", "1"}, {"b", "2"}, {"c", "3"}});
  Settings other = base;
  EXPECT_EQ(other.find("c"), base.find("c")) << "the same string, until one of them changes";
  other.set("b", "x");
  other.set("d", "4");
  other.erase("a");
  EXPECT_EQ(other, Settings(Values{{"b", "x"}, {"c", "3"}, {"d", "4"}}));
  EXPECT_EQ(base, Settings(Values{{"a", "1"}, {"b", "2"}, {"c", "3"}}));
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
  EXPECT_EQ(nearest("Method.Density", names), "method.density");
  EXPECT_EQ(nearest("CIFAR10", {"cifar100", "cifar10"}), "cifar10");
  EXPECT_EQ(nearest("site.partition", names), std::nullopt);
  EXPECT_EQ(nearest("train.num_epochs", names), "train.epochs");
  EXPECT_EQ(nearest("trian.bach", names), "train.batch");
  EXPECT_EQ(nearest("train.amp", names), std::nullopt) << "the section's name is no letter that agrees";
  EXPECT_EQ(nearest(std::string(100'000'000, 'x'), names), std::nullopt);  // at once, and without memory for it
}

}  // namespace
}  // namespace winnow
