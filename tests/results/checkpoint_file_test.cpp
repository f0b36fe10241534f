// Checkpoints of one trial on disk: the newest whole one is found whatever was cut short, and two are kept.
#include "experiments/results/checkpoint_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "tests/results/faulty_files.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

constexpr const char* kTrial = "00112233445566778899-r0";

std::vector<std::byte> state_of(int number) { return std::vector<std::byte>(1000, std::byte(number)); }
std::vector<std::byte> checkpoint(int number, const std::string& trial = kTrial) {
  return encode_checkpoint(
      {.trial = trial, .writer = "w", .precision = "f32", .ranks = 2, .step = number, .attempts = {"one"}},
      state_of(number));
}

class Checkpoints : public testing::Test {
 protected:
  std::vector<std::string> names() { return files_.list(Layout(out_.path()).checkpoints(kTrial)); }
  // The step of the newest; -1: there is none.
  std::int64_t newest() {
    problems_.clear();
    const auto found = CheckpointFolder(files_, out_.path(), kTrial).newest(problems_);
    if (!found) return -1;
    EXPECT_EQ(found->state, state_of(static_cast<int>(found->note.step)));
    return found->note.step;
  }
  void spoil(const std::string& name, const std::string& bytes) {
    const auto path = Layout(out_.path()).checkpoints(kTrial) / name;
    files_.remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
  }

  TemporaryFolder out_;
  PosixFiles files_;
  CheckpointFolder folder_{files_, out_.path(), kTrial};
  std::vector<std::string> problems_;
};

TEST_F(Checkpoints, TheNewestTwoAreKeptAndTheNewestIsFound) {
  EXPECT_EQ(newest(), -1);
  for (int number = 1; number <= 4; ++number) folder_.keep(checkpoint(number));
  EXPECT_EQ(names(), (std::vector<std::string>{"00000003.ck", "00000004.ck"}));
  EXPECT_EQ(newest(), 4);
  std::vector<std::string> problems;
  const CheckpointNote note = folder_.newest(problems)->note;
  EXPECT_EQ(note.trial, kTrial);
  EXPECT_EQ(note.writer, "w");
  EXPECT_EQ(note.precision, "f32");
  EXPECT_EQ(note.ranks, 2);
  EXPECT_EQ(note.attempts, std::vector<std::string>{"one"});
  folder_.clear();
  EXPECT_FALSE(files_.exists(Layout(out_.path()).checkpoints(kTrial)));
}

TEST_F(Checkpoints, WhatIsDamagedOrOfAnotherTrialIsSaidAndTheOneBeforeIsUsed) {
  folder_.keep(checkpoint(1));
  folder_.keep(checkpoint(2));
  const std::vector<std::byte> whole = checkpoint(2);
  for (std::size_t at = 0; at < whole.size(); at += 37) {
    std::string bytes(reinterpret_cast<const char*>(whole.data()), whole.size());
    bytes[at] ^= 1;
    spoil("00000002.ck", bytes);
    EXPECT_EQ(newest(), 1) << at;
    ASSERT_EQ(problems_.size(), 1u);
    EXPECT_NE(problems_[0].find("00000002.ck: is damaged or no checkpoint"), std::string::npos) << problems_[0];
  }
  const auto other = checkpoint(3, "ffffffffffffffffffff-r0");
  spoil("00000002.ck", std::string(reinterpret_cast<const char*>(other.data()), other.size()));
  EXPECT_EQ(newest(), 1);
  EXPECT_NE(problems_.at(0).find("is a checkpoint of another trial"), std::string::npos);
  spoil("00000002.ck", "");
  EXPECT_EQ(newest(), 1);
}

// A file of another process with the next number stays; what is no checkpoint is left alone.
TEST_F(Checkpoints, ANumberThatIsTakenIsNotWrittenOver) {
  folder_.keep(checkpoint(1));
  std::ofstream(Layout(out_.path()).checkpoints(kTrial) / "notes.txt") << "mine";
  CheckpointFolder other(files_, out_.path(), kTrial);
  other.keep(checkpoint(2));
  folder_.keep(checkpoint(3));
  EXPECT_EQ(newest(), 3);
  folder_.clear();
  EXPECT_EQ(names(), std::vector<std::string>{"notes.txt"});
}

TEST_F(Checkpoints, KilledAtAnyOperationTheOldOneOrTheNewOneIsWhole) {
  FaultyFiles counting;
  {
    TemporaryFolder place;
    CheckpointFolder folder(counting, place.path(), kTrial);
    for (int number = 1; number <= 3; ++number) folder.keep(checkpoint(number));
  }
  const int operations = counting.operations();
  ASSERT_GT(operations, 15);
  for (const Fault fault : {Fault::DieBefore, Fault::DieHalfWay, Fault::NoSpace, Fault::InputOutput}) {
    for (int at = 0; at < operations; ++at) {
      TemporaryFolder place;
      FaultyFiles files(fault, at);
      CheckpointFolder folder(files, place.path(), kTrial);
      int acknowledged = 0;
      try {
        for (int number = 1; number <= 3; ++number) {
          folder.keep(checkpoint(number));
          acknowledged = number;
        }
      } catch (const std::exception&) {
      }
      PosixFiles sound;
      std::vector<std::string> problems;
      CheckpointFolder after(sound, place.path(), kTrial);
      const auto found = after.newest(problems);
      EXPECT_GE(found ? found->note.step : 0, acknowledged) << "an acknowledged one was lost, fault at " << at;
      EXPECT_EQ(problems, std::vector<std::string>{}) << at;
      after.keep(checkpoint(9));
      EXPECT_EQ(after.newest(problems)->note.step, 9) << at;
    }
  }
}

TEST_F(Checkpoints, OfTrialsWithAResultAreCleared) {
  folder_.keep(checkpoint(1));
  const TrialResult done = sample_trial(1);
  CheckpointFolder of_done(files_, out_.path(), done.spec.name());
  of_done.keep(checkpoint(1, done.spec.name()));
  publish(files_, out_.path(), done, kCreated);
  clear_old_checkpoints(files_, out_.path());
  EXPECT_FALSE(files_.exists(Layout(out_.path()).checkpoints(done.spec.name())));
  EXPECT_EQ(newest(), 1) << "that of a trial without a result stays";
}

TEST_F(Checkpoints, ATrialIsGivenUpAfterThreeCrashesWithoutAStepSaved) {
  const auto crash = [this](const char* reason) { folder_.note_crash(folder_.crashes() + 1, reason); };
  crash("a");
  crash("b");
  EXPECT_EQ(folder_.given_up(), std::nullopt);
  folder_.keep(checkpoint(5));
  crash("c");
  crash("d");
  EXPECT_EQ(folder_.given_up(), std::nullopt) << "it came further between";
  folder_.note_crash(4, "what another process saw of the same crash");
  EXPECT_EQ(folder_.given_up(), std::nullopt);
  crash("e");
  EXPECT_EQ(folder_.given_up(), "given up after 3 crashes after step 5 was saved, the last one: e");
  EXPECT_EQ(newest(), 5) << "no checkpoint";
  // What was forgotten by half does not take the number of the next.
  files_.remove(Layout(out_.path()).checkpoints(kTrial) / "00000003.crash");
  EXPECT_EQ(folder_.given_up(), std::nullopt);
  crash("f");
  EXPECT_EQ(folder_.given_up(), "given up after 3 crashes after step 5 was saved, the last one: f");
  folder_.forget_crashes();
  EXPECT_EQ(folder_.given_up(), std::nullopt);
  EXPECT_EQ(newest(), 5);
}

TEST_F(Checkpoints, ADamagedNoteOfACrashIsNone) {
  for (const char* reason : {"a", "b", "c"}) folder_.note_crash(folder_.crashes() + 1, reason);
  EXPECT_EQ(folder_.given_up(), "given up after 3 crashes before anything was saved, the last one: c");
  for (const char* bytes : {"", "{", "[1]", R"({"step": "0", "reason": "a"})", R"({"step": 0, "reason": 3})"}) {
    spoil("00000002.crash", bytes);
    EXPECT_EQ(folder_.given_up(), std::nullopt) << bytes;
  }
  folder_.clear();
  EXPECT_FALSE(files_.exists(Layout(out_.path()).checkpoints(kTrial)));
}

}  // namespace
}  // namespace winnow::test
