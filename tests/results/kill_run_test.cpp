// The real program, killed again and again while it runs a small sweep: every published file stays
// whole, and the resumed sweep ends with the same contents as one that was left alone.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include "core/error.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

using std::chrono::milliseconds;

constexpr const char* kSweep = R"(sweep: kill
schema: 1
trial:
  data: {name: synthetic, height: 28, width: 28, channels: 1, classes: 10, examples: 2048, validation: 256}
  model: {name: lenet300}
  train: {epochs: 1, batch: 64, precision: f32}
axes:
  - cases:
      - {name: dense}
      - {name: rigl, axes: [{method.density: [0.1]}]}
      - {name: ticket, method.of: rigl}
      - {name: born_again, method.teacher: ticket}
    key: method.name
  - replicate: 2
)";

// The test program is build/tests/test_results, the program build/winnow.
std::filesystem::path program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "winnow";
}

// `workers`: nothing leaves it to the program.
pid_t start(const std::filesystem::path& folder, const std::filesystem::path& out, const char* workers = nullptr) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const std::string sweep = (folder / "kill.yaml").string(), exe = program().string();
  const auto log = (folder / "log").string();
  if (std::freopen(log.c_str(), "a", stdout) == nullptr || std::freopen(log.c_str(), "a", stderr) == nullptr) {
    ::_exit(127);
  }
  ::execl(exe.c_str(), exe.c_str(), "run", sweep.c_str(), "-o", out.c_str(), "--threads", "1",
          workers == nullptr ? nullptr : "--workers", workers, nullptr);
  ::_exit(127);
}

// Exit code, or nothing if it had to be killed at `limit`.
std::optional<int> run_for(const std::filesystem::path& folder, const std::filesystem::path& out, milliseconds limit) {
  const pid_t child = start(folder, out);
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    int state = 0;
    if (::waitpid(child, &state, WNOHANG) == child) return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
    if (std::chrono::steady_clock::now() >= end) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &state, 0);
      return std::nullopt;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
}

std::map<std::string, std::string> digests(const std::filesystem::path& out) {
  PosixFiles files;
  std::map<std::string, std::string> result;
  for (const auto& name : published_trials(files, out)) {
    result[name] = read_header(files, Layout(out).trial(name)).content_digest;
  }
  return result;
}

TEST(KilledRun, LosesNothingPublishedAndEndsLikeAnUndisturbedOne) {
  ASSERT_TRUE(std::filesystem::exists(program())) << program();
  TemporaryFolder folder;
  std::ofstream(folder.path() / "kill.yaml") << kSweep;
  const auto alone = folder.path() / "alone", killed = folder.path() / "killed";
  const auto started = std::chrono::steady_clock::now();
  ASSERT_EQ(run_for(folder.path(), alone, std::chrono::minutes(5)), 0);
  const auto whole = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - started);
  const auto expected = digests(alone);
  ASSERT_EQ(expected.size(), 8u);

  std::map<std::string, std::string> before;
  std::optional<int> code;
  int kills = 0;
  // Ever longer lives, so that kills fall into every part of a trial and the sweep still ends.
  for (milliseconds life = whole / 12; !code; life += whole / 12) {
    code = run_for(folder.path(), killed, life);
    kills += !code;
    const auto now = digests(killed);  // throws if a file is damaged
    for (const auto& [name, digest] : before) EXPECT_EQ(now.at(name), digest);
    before = now;
    PosixFiles files;
    if (files.exists(Layout(killed).plan())) {
      SweepStatus status = read_status(files, killed, unix_now());
      // Its workers are told to end with it; on a busy machine that takes a moment.
      for (int wait = 0; wait < 1000 && !status.running.empty(); ++wait) {
        std::this_thread::sleep_for(milliseconds(10));
        status = read_status(files, killed, unix_now());
      }
      EXPECT_GE(status.done.size(), now.size());
      EXPECT_TRUE(status.running.empty()) << "a killed process counts as running";
    }
  }
  EXPECT_EQ(code, 0);
  EXPECT_GE(kills, 2);
  EXPECT_EQ(digests(killed), expected);
}

// Each trial counts as trained in one of the runs alone, and every result is there.
TEST(TwoRuns, OnOneDirectoryShareItsTrials) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "kill.yaml") << kSweep;
  const auto out = folder.path() / "out";
  const pid_t runs[] = {start(folder.path(), out), start(folder.path(), out)};
  for (const pid_t run : runs) {
    int state = 0;
    ASSERT_EQ(::waitpid(run, &state, 0), run);
    EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0);
  }
  EXPECT_EQ(digests(out).size(), 8u);
  std::ifstream log(folder.path() / "log");
  const std::string text((std::istreambuf_iterator<char>(log)), {});
  int sum = 0;  // of "..., N trained" in the last line of each run
  for (std::size_t at = 0; (at = text.find(" trained", at)) != std::string::npos; ++at) {
    sum += std::atoi(text.c_str() + text.rfind(", ", at) + 2);
  }
  EXPECT_EQ(sum, 8) << text;
}

constexpr const char* kEndlessSweep = R"(sweep: endless
schema: 1
trial:
  data: {name: synthetic, height: 8, width: 8, channels: 1, classes: 10, examples: 640, validation: 0}
  model: {name: lenet300}
  method: {name: dense}
  train: {epochs: 1000000, batch: 64, precision: f32}
save: {checkpoint: {every: 1}}
)";

// What became of the time of a run that gets this signal some time after its trial was saved anew.
TimeSpent spent_after(const std::filesystem::path& folder, const std::filesystem::path& out, int signal) {
  PosixFiles files;
  const auto step = [&]() -> std::int64_t {
    const auto saved = saved_steps(files, out);
    return saved.empty() ? 0 : saved.begin()->second;
  };
  const std::int64_t before = step();
  const pid_t child = start(folder, out, "1");
  for (int wait = 0; wait < 6000 && step() == before; ++wait) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_GT(step(), before);
  std::this_thread::sleep_for(milliseconds(600));
  ::kill(child, signal);
  ::waitpid(child, nullptr, 0);
  constexpr std::int64_t kLater = 100;  // when nothing is expected of it any more
  return account_of_runs(files, out, unix_now() + kLater).spent;
}

TEST(KilledRun, IsCountedAsWhatItLostItsTimeTo) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "kill.yaml") << kEndlessSweep;
  const auto out = folder.path() / "out";
  const TimeSpent killed = spent_after(folder.path(), out, SIGKILL);
  EXPECT_GT(killed.useful, 0.5) << "up to its checkpoint";
  EXPECT_GT(killed.preempted, 0);
  EXPECT_EQ(killed.failed, 0);
  const TimeSpent crashed = spent_after(folder.path(), out, SIGSEGV);
  EXPECT_EQ(crashed.preempted, killed.preempted);
  EXPECT_GT(crashed.failed, 0);
  EXPECT_GT(crashed.useful, killed.useful);
  const TimeSpent stopped = spent_after(folder.path(), out, SIGTERM);
  EXPECT_EQ(stopped.failed, crashed.failed);
  EXPECT_NEAR(stopped.preempted, crashed.preempted, 0.2) << "told to stop, it saves at the very step";
  EXPECT_EQ(stopped.unsaved, 0);
}

}  // namespace
}  // namespace winnow::test
