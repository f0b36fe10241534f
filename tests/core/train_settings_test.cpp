// Lengths that cannot act in a run, and places of a schedule that are the same step.
#include "core/train_settings.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/setting_text.h"

namespace winnow {
namespace {

using Kind = Setting::Kind;
using Values = Settings::Values;

const Schema& lengths() {
  static const Schema all = {
      {.key = "begin", .kind = Kind::Length, .fallback = "0it", .span = Span{.until = "stop"}},
      {.key = "interval", .kind = Kind::Length, .fallback = "1it", .span = Span{.from = "begin", .until = "stop"}},
      {.key = "stop", .fallback = "0.75", .range = Range{0, 1}},
      {.key = "tune", .kind = Kind::Length, .fallback = "1it", .span = Span{.with_end = true}},
      {.key = "places", .kind = Kind::LengthList, .fallback = "[]", .span = Span{}},
      {.key = "way", .kind = Kind::Choice, .fallback = "a", .choices = {"a", "b"}},
      {.key = "of_b", .kind = Kind::Length, .fallback = "1it", .read_when = {{where("way", {"b"})}}, .span = Span{}}};
  return all;
}

// Of a run of 15 steps, 5 an epoch: "key: reason" of each.
std::vector<std::string> idle(const Values& given) {
  std::vector<std::string> found;
  for (const SettingProblem& one : idle_lengths(lengths(), resolve(lengths(), Settings(given)), {15, 5})) {
    found.push_back(one.key + ": " + one.text);
  }
  return found;
}

using Lines = std::vector<std::string>;

TEST(IdleLengths, WhatFitsIsNotNamed) {
  EXPECT_EQ(idle({}), Lines{});
  EXPECT_EQ(idle({{"begin", "11it"}}),
            Lines{"interval: 1it cannot act: of its 1 steps at most 0 fit after begin until stop"});
  EXPECT_EQ(idle({{"interval", "11it"}, {"tune", "3ep"}, {"places", "[0, 14it]"}}), Lines{});
}

TEST(IdleLengths, WhatDoesNotFitIsNamedWithTheRoomThereIs) {
  EXPECT_EQ(idle({{"interval", "12it"}}),
            Lines{"interval: 12it cannot act: of its 12 steps at most 11 fit after begin until stop"});
  EXPECT_EQ(idle({{"begin", "3ep"}, {"stop", "1"}}).front(),
            "begin: 3ep cannot act: of its 15 steps at most 14 fit until stop");
  EXPECT_EQ(idle({{"tune", "16it"}}), Lines{"tune: 16it cannot act: of its 16 steps at most 15 fit into the run"});
  EXPECT_EQ(idle({{"places", "[1, 3ep]"}}),
            Lines{"places: 3ep cannot act: of its 15 steps at most 14 fit into the run"});
}

TEST(IdleLengths, OnlyWhatIsReadIsNamed) {
  EXPECT_EQ(idle({{"of_b", "100ep"}}), Lines{});
  EXPECT_EQ(idle({{"of_b", "100ep"}, {"way", "b"}}).size(), 1u);
}

TEST(LearningRates, PlacesThatAreTheSameStepAreRefused) {
  const auto schedule = [](const char* at) {
    return resolve(train_schema(), Settings(Values{{"schedule.kind", "multistep"}, {"schedule.at", at}}));
  };
  EXPECT_THROW(LearningRate(schedule("[2ep, 10it]"), {15, 5}), Error);
  const LearningRate rate(schedule("[10it, 1ep]"), {15, 5});
  EXPECT_NEAR(rate.at(5), 0.01, 1e-12);
  EXPECT_NEAR(rate.at(10), 0.001, 1e-12);
}

// Conditions and spans name settings of the same schema that stand before or beside them, in their canonical texts.
TEST(TrainSchema, ConditionsNameWhatStandsBeforeThem) {
  const Schema& schema = train_schema();
  for (std::size_t i = 0; i < schema.size(); ++i) {
    for (const auto& conditions : schema[i].read_when) {
      for (const Condition& condition : conditions) {
        const Setting* named = find_setting(schema, condition.key);
        ASSERT_NE(named, nullptr) << condition.key;
        EXPECT_LT(named, &schema[i]) << schema[i].key << " and " << condition.key;
        for (const std::string& value : condition.values) {
          EXPECT_EQ(canonical_value(*named, value).text, value) << condition.key;
        }
      }
    }
  }
}

}  // namespace
}  // namespace winnow
