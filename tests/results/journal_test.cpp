// The journal of a run: what was appended is read, whatever a kill leaves at the end, and what is damaged is said.
#include "experiments/results/journal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "tests/results/faulty_files.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

nlohmann::ordered_json record_of(int number) { return {{"kind", "step"}, {"number", number}, {"text", "a \n \xff b"}}; }

class Journals : public testing::Test {
 protected:
  std::filesystem::path path(int attempt) const {
    return Layout(out_.path()).journals() / fmt::format("s0007.a{:04}.jnl", attempt);
  }
  void spoil(const std::function<void(std::string&)>& how) {
    std::string text = text_of(files_.read(path(1)));
    how(text);
    std::ofstream(path(1), std::ios::binary | std::ios::trunc) << text;
  }
  void write(int records) {
    JournalWriter writer(files_, out_.path(), "s0007");
    for (int i = 0; i < records; ++i) writer.append(record_of(i));
  }
  // The numbers of all records.
  std::vector<int> numbers(int attempt = 1) {
    const Journal journal = read_journal(files_, path(attempt));
    damaged_ = journal.damaged;
    std::vector<int> found;
    for (const auto& record : journal.records) found.push_back(record.at("number"));
    return found;
  }

  TemporaryFolder out_;
  PosixFiles files_;
  std::vector<std::string> damaged_;
};

TEST_F(Journals, RecordsAreReadAsTheyWereWrittenAndEachTimeHasAFile) {
  write(3);
  write(1);
  EXPECT_EQ(numbers(1), (std::vector{0, 1, 2}));
  EXPECT_EQ(numbers(2), std::vector{0});
  EXPECT_TRUE(damaged_.empty());
  EXPECT_EQ(journals(files_, out_.path()), (std::vector{path(1), path(2)}));
  EXPECT_EQ(last_record(files_, path(1), {"step"})->at("number"), 2);
  EXPECT_FALSE(last_record(files_, path(1), {"beat"}));
}

TEST_F(Journals, WhatWasCutShortAtTheEndIsLeftOut) {
  write(3);
  const std::string whole = text_of(files_.read(path(1)));
  const std::size_t second = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t size = second; size < whole.size(); ++size) {
    spoil([&](std::string& text) { text = whole.substr(0, size); });
    EXPECT_EQ(numbers(), (std::vector{0, 1})) << size;
    EXPECT_TRUE(damaged_.empty()) << size;
    EXPECT_EQ(last_record(files_, path(1), {"step"})->at("number"), 1) << size;
  }
}

TEST_F(Journals, TheLastRecordOfAKindIsFoundHoweverMuchIsBehindIt) {
  {
    JournalWriter writer(files_, out_.path(), "s0007");
    writer.append({{"kind", "beat"}, {"number", 1}});
    writer.append({{"kind", "beat"}, {"number", 2}});
    for (int i = 0; i < 3000; ++i) writer.append(record_of(i));
  }
  EXPECT_GT(files_.read(path(1)).size(), 2u * 64 * 1024);
  EXPECT_EQ(last_record(files_, path(1), {"over", "beat"})->at("number"), 2);
  EXPECT_FALSE(last_record(files_, path(1), {"over"}));
}

TEST_F(Journals, ADamagedLineIsSaidWithItsNumberAndTheOthersAreRead) {
  write(3);
  const std::string whole = text_of(files_.read(path(1)));
  for (std::size_t at = 0; at < whole.find('\n'); ++at) {
    spoil([&](std::string& text) { (text = whole)[at] ^= 4; });
    EXPECT_EQ(numbers(), (std::vector{1, 2})) << at;
    ASSERT_EQ(damaged_.size(), 1u) << at;
    EXPECT_EQ(damaged_[0], path(1).string() + ":1: is damaged");
  }
}

TEST_F(Journals, AnyBytesAreReadWithoutHarm) {
  write(1);
  for (const std::string& bytes : {std::string(), std::string("\n\n"), std::string("00000000 {}\n"),
                                   std::string(100, '\0'), std::string("d202ef8d \n"), std::string("zzzzzzzz {}\n")}) {
    spoil([&](std::string& text) { text = bytes; });
    EXPECT_EQ(numbers(), std::vector<int>{}) << bytes;
    EXPECT_FALSE(last_record(files_, path(1), {"step"}));
  }
}

// Each operation of two records and a sync fails, or is the last: what was synced before is read.
TEST_F(Journals, WhatNobodyWritesIsNotReadHoweverLargeItIs) {
  write(3);
  spoil([](std::string& text) { text += std::string(kMostRecord + 1, 'x') + "\n"; });
  std::filesystem::resize_file(path(1), std::uintmax_t{1} << 40);  // a hole
  JournalReader reader(path(1));
  for (int looks = 0; looks < 2; ++looks) {
    EXPECT_EQ(numbers(), (std::vector{0, 1, 2}));
    ASSERT_EQ(damaged_.size(), 1u);
    EXPECT_TRUE(damaged_[0].ends_with(":4: is damaged, and so is what is behind it")) << damaged_[0];
    EXPECT_EQ(reader.more(files_).size(), looks == 0 ? 3u : 0u);
  }
  EXPECT_FALSE(last_record(files_, path(1), {}));
}

TEST_F(Journals, ARecordAcrossTwoPartsIsRead) {
  constexpr int kMany = 80'000;  // more than a part
  write(kMany);
  ASSERT_GT(std::filesystem::file_size(path(1)), std::uintmax_t{4} << 20);
  const std::vector<int> found = numbers();
  ASSERT_EQ(found.size(), static_cast<std::size_t>(kMany));
  EXPECT_EQ(found.back(), kMany - 1);
  EXPECT_TRUE(damaged_.empty());
  JournalReader reader(path(1));
  EXPECT_EQ(reader.more(files_).size(), static_cast<std::size_t>(kMany));
}

TEST_F(Journals, KilledAtAnyOperationWhatWasSyncedIsThere) {
  const auto run = [](Files& files, const std::filesystem::path& out, int& synced) {
    JournalWriter writer(files, out, "s0007");
    for (int i = 0; i < 3; ++i) {
      writer.append(record_of(i));
      writer.sync();
      synced = i + 1;
    }
  };
  int operations = 0;
  {
    TemporaryFolder place;
    FaultyFiles counting;
    int synced = 0;
    run(counting, place.path(), synced);
    operations = counting.operations();
  }
  ASSERT_GT(operations, 6);
  for (const Fault fault : {Fault::NoSpace, Fault::InputOutput, Fault::DieBefore, Fault::DieHalfWay}) {
    for (int at = 0; at < operations; ++at) {
      TemporaryFolder place;
      FaultyFiles files(fault, at);
      int synced = 0;
      try {
        run(files, place.path(), synced);
      } catch (const Death&) {
      } catch (const Error&) {
      }
      std::size_t whole = 0;
      for (const auto& each : journals(files_, place.path())) {
        const Journal journal = read_journal(files_, each);
        EXPECT_TRUE(journal.damaged.empty()) << at;
        whole = journal.records.size();
      }
      EXPECT_GE(whole, static_cast<std::size_t>(synced)) << at;
    }
  }
}

}  // namespace
}  // namespace winnow::test
