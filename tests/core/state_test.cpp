#include "core/state.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"

namespace winnow {
namespace {

TEST(MemoryState, GivesBackTheBytesThatWerePut) {
  MemoryState state;
  state.put_value("t", std::int64_t{7});
  state.put_values<float>("w", std::vector<float>{1.5f, -2.f});
  state.put_values<float>("none", {});
  EXPECT_EQ(state.get_value<std::int64_t>("t"), 7);
  std::vector<float> w(2);
  state.get_values("w", std::span(w));
  EXPECT_EQ(w, (std::vector<float>{1.5f, -2.f}));
  EXPECT_TRUE(state.get("none").bytes.empty());
  EXPECT_TRUE(state.get_list<float>("none").empty());
  EXPECT_EQ(state.get_list<float>("w"), w);
}

std::string refusal(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return error.what();
  }
  return "taken";
}

TEST(MemoryState, RefusesAMissingKeyAndAnotherTypeOrShape) {
  MemoryState state;
  state.put_value("t", std::int64_t{7});
  state.put_values<float>("w", std::vector<float>(6), {2, 3});
  EXPECT_EQ(refusal([&] { (void)state.get("s"); }), "saved state has no 's'");
  EXPECT_EQ(refusal([&] { (void)state.get_value<double>("t"); }),
            "saved state 't' is i64 scalar, expected is f64 scalar");
  std::vector<float> w(6);
  EXPECT_EQ(refusal([&] {
              state.get_values("w", std::span(w), {3, 2});
            }),
            "saved state 'w' is f32 2x3, expected is f32 3x2");
  EXPECT_EQ(refusal([&] { (void)state.get_list<float>("w"); }), "saved state 'w' is 2x3, expected is one row");
  EXPECT_EQ(refusal([&] { state.get_values("w", std::span(w), {2, 3}); }), "taken");
}

TEST(MemoryState, KeepsTheKeysOfPartsApart) {
  MemoryState state;
  PrefixWriter a(state, "a"), inner(a, "b");
  a.put_text("name", "first\nline");
  inner.put_value("x", 2.5);
  PrefixReader again(state, "a"), within(again, "b");
  EXPECT_EQ(again.unread(), (std::vector<std::string>{"b/x", "name"}));
  EXPECT_EQ(within.get_value<double>("x"), 2.5);
  EXPECT_EQ(state.get_text("a/name"), "first\nline");
  MemoryState copy;
  state.copy_to(copy);
  EXPECT_TRUE(copy == state);
}

TEST(MemoryState, NamesTheKeysNobodyRead) {
  MemoryState state;
  state.put_value("a", std::int64_t{1});
  state.put_value("b", std::int64_t{2});
  (void)state.get("a");
  EXPECT_EQ(state.unread(), std::vector<std::string>{"b"});
  EXPECT_FALSE(state == MemoryState());
}

}  // namespace
}  // namespace winnow
