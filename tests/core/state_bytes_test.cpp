// Saved state as bytes: what was put comes back, and whatever a file or message holds is an error or a state, never a crash.
#include "core/state_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace winnow {
namespace {

MemoryState sample() {
  MemoryState state;
  state.put_value("step", std::int64_t{-7});
  state.put_value("seed", ~std::uint64_t{0});
  state.put_values<float>("w", std::vector<float>{1.5f, -0.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  state.put_values<double>("d", std::vector<double>{0.1});
  state.put_values<std::uint8_t>("none", {});
  state.put_text("name", "a\nb");
  return state;
}

// Of two states that were not read.
bool same(MemoryState a, MemoryState b) { return a == b; }

TEST(StateBytes, GiveBackWhatWasPut) {
  MemoryState found;
  add_blocks(found, bytes_of(sample()), "x");
  EXPECT_TRUE(same(found, sample()));
}

TEST(StateBytes, OfSeveralBlocksOfOneKeyTheLastCounts) {
  BytesWriter writer;
  writer.put_value("t", std::int64_t{1});
  writer.put_value("t", 2.5);
  MemoryState found;
  add_blocks(found, writer.take(), "x");
  EXPECT_EQ(found.get_value<double>("t"), 2.5);
}

// Blocks that are read where they lie are those of a copy.
TEST(StateBytes, AreReadInTheirPlaceAsFromACopy) {
  const std::vector<std::byte> bytes = bytes_of(sample());
  const std::string label = "x";
  BytesBlocks blocks(bytes, label);
  MemoryState copy = sample();
  EXPECT_EQ(blocks.unread(), copy.unread());
  for (const std::string& key : copy.unread()) {
    const Block here = blocks.get(key), there = copy.get(key);
    EXPECT_EQ(here.type, there.type) << key;
    EXPECT_EQ(here.shape, there.shape) << key;
    EXPECT_TRUE(std::ranges::equal(here.bytes, there.bytes)) << key;
    EXPECT_TRUE(here.bytes.empty() ||
                (here.bytes.data() > bytes.data() && here.bytes.data() < bytes.data() + bytes.size()));
  }
  EXPECT_TRUE(blocks.unread().empty());
  EXPECT_THROW(blocks.get("other"), Error);
  EXPECT_THROW(BytesBlocks(std::span(bytes).first(bytes.size() - 1), label), Error);
  BytesWriter twice;
  twice.put_value("t", std::int64_t{1});
  twice.put_value("t", 2.5);
  const auto both = twice.take();
  EXPECT_EQ(BytesBlocks(both, label).get_value<double>("t"), 2.5);
}

TEST(StateBytes, CutShortAnywhereAreAnErrorOrFewerBlocks) {
  const std::vector<std::byte> bytes = bytes_of(sample());
  std::size_t errors = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    MemoryState found;
    try {
      add_blocks(found, std::span(bytes).first(size), "cut");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Input);
      EXPECT_TRUE(std::string(error.what()).starts_with("cut: is no saved state of winnow (")) << error.what();
      ++errors;
    }
  }
  EXPECT_EQ(errors, bytes.size() - sample().unread().size()) << "between two blocks it is whole";
}

// An extent or a length as large as there is must neither be multiplied past the end of its type nor taken from memory.
TEST(StateBytes, OfAnyValuesAskForNoMoreMemoryThanTheyAre) {
  const std::vector<std::byte> whole = bytes_of(sample());
  for (std::size_t at = 0; at + 8 <= whole.size(); ++at) {
    for (const std::uint64_t value :
         {~std::uint64_t{0}, std::uint64_t{1} << 62, std::uint64_t{1} << 33, std::uint64_t{0}}) {
      std::vector<std::byte> bytes = whole;
      std::memcpy(bytes.data() + at, &value, sizeof value);
      MemoryState found;
      try {
        add_blocks(found, bytes, "odd");
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Input) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace winnow
