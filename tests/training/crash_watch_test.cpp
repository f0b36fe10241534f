// What a process that crashes says of the trials it had in hand.
#include "experiments/run/crash_watch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "experiments/results/layout.h"
#include "tests/temporary_folder.h"

namespace winnow::test {
namespace {

class Crashed : public ::testing::Test {
 protected:
  CheckpointFolder folder(const char* trial) { return {files_, out_.path(), trial}; }
  nlohmann::json note(const char* trial, std::size_t number = 1) {
    const auto path = folder(trial).crash_path(number);
    return files_.exists(path) ? nlohmann::json::parse(text_of(files_.read(path))) : nlohmann::json();
  }
  // A child that does this, and then crashes on another thread.
  void crash(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      catch_crashes();
      work();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
  static void abort_on_a_thread() {
    std::thread([] { ::raise(SIGABRT); }).join();
  }

  TemporaryFolder out_;
  PosixFiles files_;
};

TEST_F(Crashed, SaysSoOfEachTrialInHandAndOfNoOther) {
  crash([&] {
    const CrashWatch first(folder("a").crash_path(1), 0, {}, CrashOf::Several);
    { const CrashWatch ended(folder("b").crash_path(1), 0, {}, CrashOf::Several); }
    CrashWatch second(folder("c").crash_path(1), 0, {}, CrashOf::Several);
    second.saved(4);
    abort_on_a_thread();
  });
  EXPECT_EQ(note("a").value("step", -1), 0);
  EXPECT_EQ(note("c").value("step", -1), 4);
  EXPECT_TRUE(note("b").is_null()) << "it had ended";
  for (const char* trial : {"a", "c"}) {
    EXPECT_TRUE(note(trial).value("beside_others", false));
    EXPECT_EQ(note(trial).value("reason", ""),
              "its process, which may have had others in hand, ended by signal 6 (Aborted)");
  }
}

TEST_F(Crashed, CountsAgainstATrialThatWasAloneOnly) {
  for (std::size_t number = 1; number <= 4; ++number) {
    crash([&] {
      const CrashWatch watch(folder("a").crash_path(number), 0, {}, CrashOf::Several);
      abort_on_a_thread();
    });
  }
  EXPECT_EQ(folder("a").crashes(), 4u);
  EXPECT_EQ(folder("a").given_up(), std::nullopt);
  for (std::size_t number = 5; number <= 7; ++number) {
    EXPECT_EQ(folder("a").given_up(), std::nullopt);
    crash([&] {
      const CrashWatch watch(folder("a").crash_path(number), 0);
      abort_on_a_thread();
    });
    EXPECT_FALSE(note("a", number).contains("beside_others"));
  }
  EXPECT_EQ(
      folder("a").given_up(),
      "given up after 3 crashes before anything was saved, the last one: its process ended by signal 6 (Aborted)");
}

}  // namespace
}  // namespace winnow::test
