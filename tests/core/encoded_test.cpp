#include "core/encoded.h"

#include <gtest/gtest.h>

#include "core/codebook.h"
#include "core/error.h"

namespace winnow {
namespace {

std::vector<std::uint8_t> bytes_of(const Encoded& encoded) {
  return std::get<std::vector<std::uint8_t>>(encoded.arrays.at("codes"));
}

// Element i of 4 bits is the low nibble first; one of 1 bit is bit i: the streams of the specification (0.6).
TEST(Codebook, CodesArePackedFromTheLowestBit) {
  const std::uint32_t nibbles[] = {3, 8, 7, 15, 0};
  EXPECT_EQ(bytes_of(codebook(nibbles, std::vector<float>(16), 16)), (std::vector<std::uint8_t>{131, 247, 0}));
  const std::uint32_t bits[] = {1, 0, 1, 1, 0, 0, 0, 1};
  EXPECT_EQ(bytes_of(codebook(bits, {0, 1}, 2)), (std::vector<std::uint8_t>{141}));
}

TEST(Codebook, WidthsThatAreNoDivisorsOfAByteComeBack) {
  for (const std::int64_t levels : {1, 2, 3, 5, 8, 17, 200, 256, 1000}) {
    std::vector<float> table;
    std::vector<std::uint32_t> codes;
    for (std::int64_t i = 0; i < levels; ++i) table.push_back(static_cast<float>(i) - 2.5f);
    for (std::uint32_t i = 0; i < 77; ++i) codes.push_back(i * 31 % static_cast<std::uint32_t>(levels));
    const Encoded encoded = codebook(codes, table, levels);
    EXPECT_EQ(encoded.bits, code_width(levels) * 77 + 32 * levels);
    const std::vector<float> values = decode(encoded, {7, 11}, {});
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], table[codes[i]]) << levels;
  }
}

TEST(Codebook, OnlyKeptEntriesHaveCodesAndEveryPartItsTable) {
  const std::uint32_t codes[] = {0, 1, 1};
  const Encoded encoded = codebook(codes, {1, 2, 10, 20}, 2);
  const std::uint8_t keep[] = {1, 0, 1, 0, 0, 1};
  EXPECT_EQ(decode(encoded, {2, 3}, keep), (std::vector<float>{1, 0, 2, 0, 0, 20}));
}

TEST(Codebook, WhatADamagedFileMayHoldIsRefused) {
  const std::uint32_t codes[] = {0, 1, 2, 1};
  const Encoded good = codebook(codes, {1, 2, 3}, 3);
  EXPECT_NO_THROW(decode(good, {4}, {}));
  const auto refused = [&](const Shape& shape, const auto& change) {
    Encoded bad = good;
    change(bad);
    EXPECT_THROW(decode(bad, shape, {}), Error);
  };
  refused({5}, [](Encoded&) {});
  refused({400}, [](Encoded&) {});
  refused({4}, [](Encoded& e) { e.attributes["levels"] = 0; });
  refused({4}, [](Encoded& e) { e.attributes["levels"] = -1; });
  refused({4}, [](Encoded& e) { e.attributes["levels"] = 1e18; });
  refused({4}, [](Encoded& e) { e.attributes["levels"] = 2.5; });
  refused({4}, [](Encoded& e) { e.attributes.clear(); });
  refused({4}, [](Encoded& e) { e.attributes["levels"] = 2; });
  refused({4}, [](Encoded& e) { e.arrays.erase("table"); });
  refused({4}, [](Encoded& e) { e.arrays["table"] = std::vector<float>{}; });
  refused({4}, [](Encoded& e) { e.arrays["codes"] = std::vector<std::uint8_t>{255}; });
  refused({4}, [](Encoded& e) { e.arrays["codes"] = std::vector<float>{1}; });
  refused({4}, [](Encoded& e) { e.kind = "no such kind"; });
}

}  // namespace
}  // namespace winnow
