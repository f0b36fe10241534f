#include "core/state.h"

#include <gtest/gtest.h>

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
  EXPECT_TRUE(state.get("none").empty());
}

TEST(MemoryState, RefusesAMissingKeyAndAnotherSize) {
  MemoryState state;
  state.put_value("t", std::int32_t{7});
  EXPECT_THROW(state.get("s"), Error);
  EXPECT_THROW(state.get_value<std::int64_t>("t"), Error);
}

TEST(MemoryState, NamesTheKeysNobodyRead) {
  MemoryState state;
  state.put_value("a", 1);
  state.put_value("b", 2);
  (void)state.get("a");
  EXPECT_EQ(state.unread(), std::vector<std::string>{"b"});
  EXPECT_FALSE(state == MemoryState());
}

}  // namespace
}  // namespace winnow
