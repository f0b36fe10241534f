// Several trials at once on one GPU, as `winnow run` trains them: the bits that each has alone, and what a failure, a fault, a
// want of memory and a word to stop do to those beside it.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "tests/device/emulated.h"
#include "tests/training/run_fixture.h"

#if defined(WINNOW_EMULATED)
namespace winnow::test {
namespace {

using Running = std::vector<RunningTrial>;

// A process that looks at what a run has in work, until it ends with the one that made it.
class Onlooker {
 public:
  // `look`: false when it has seen enough.
  Onlooker(const std::filesystem::path& out, const std::function<bool(const Running&)>& look) {
    process_ = ::fork();
    if (process_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    PosixFiles files;
    while (look(read_running(files, out, unix_now()))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::_Exit(0);
  }
  ~Onlooker() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  Onlooker(const Onlooker&) = delete;
  Onlooker& operator=(const Onlooker&) = delete;

 private:
  pid_t process_;
};

class AtOnce : public RunFixture {
 protected:
  explicit AtOnce(const std::string& axes =
                      "  - cases:\n"
                      "      - dense\n"
                      "      - {name: rigl, method.density: 0.2, method.delta_t: 2it}\n"
                      "      - {name: gmp, method.density: 0.2, train.optimizer: adam, train.lr: 0.001}\n"
                      "    key: method.name\n"
                      "  - replicate: 2\n")
      : RunFixture(axes) {}
  void SetUp() override {
    emulator::reset();
    RunFixture::SetUp();
  }
  void TearDown() override {
    RunFixture::TearDown();
    emulator::reset();
  }
  // With one thread each: a process that has had a team of threads cannot fork workers.
  RunSaid run(const std::string& at_once, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"run", "--device", "cuda", "--threads", "1", "--trials-per-device", at_once});
    return winnow(more);
  }
  // What counts of each result.
  std::map<std::string, std::string> digests() const {
    std::map<std::string, std::string> found;
    if (!std::filesystem::exists(out() / "trials")) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out() / "trials")) {
      if (!entry.is_regular_file()) continue;
      const TrialHeader header = read_header(files_, entry.path());
      found[header.name] = header.content_digest;
    }
    return found;
  }
  std::string reason_why_failed(const std::string& name) const {
    const auto path = Layout(out()).failure(name);
    return files_.exists(path) ? nlohmann::json::parse(text_of(files_.read(path))).value("reason", "") : "";
  }
  // Of these trials, each alone.
  std::map<std::string, std::string> digests_alone(const std::vector<std::string>& more = {}) {
    const RunSaid said = run("1", more);
    EXPECT_EQ(said.code, 0) << said.err;
    auto found = digests();
    for (const auto& [name, digest] : found) {
      const TrialResult result = read_trial(files_, Layout(out()).trial(name));
      peak_ = std::max(peak_, static_cast<std::size_t>(result.summary.at("memory.peak")));
    }
    std::filesystem::remove_all(out());
    return found;
  }
  std::size_t peak_ = 0;  // bytes that the largest of these took
};

TEST_F(AtOnce, ResultsAreThoseOfTrialsAlone) {
  const auto alone = digests_alone();
  ASSERT_EQ(alone.size(), 6u);
  for (const char* at_once : {"3", "auto"}) {
    const RunSaid said = run(at_once);
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_TRUE(said.has("6 trials: 0 already done, 6 trained, 0 diverged, 0 failed")) << said.err;
    EXPECT_EQ(digests(), alone) << at_once;
    std::filesystem::remove_all(out());
  }
}

TEST_F(AtOnce, TheRunSaysHowManyAndShowsAllInWork) {
  const std::vector<std::string> longer = {"--set", "train.epochs=8"};
  int seen[2];
  ASSERT_EQ(::pipe(seen), 0);
  {
    const Onlooker onlooker(out(), [&](const Running& running) {
      if (running.size() < 3) return true;
      const bool of_one = running[0].process == running[1].process && running[1].process == running[2].process;
      const char word = of_one ? 'y' : 'n';
      return ::write(seen[1], &word, 1) != 1;
    });
    const RunSaid said = run("3", longer);
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_TRUE(said.has("6 of 6 trials to train by a worker, 1 thread each")) << said.err;
    EXPECT_TRUE(said.has("on 1 GPU (Emulated GPU), 3 at once on each")) << said.err;
    EXPECT_TRUE(said.has("[6/6] ")) << said.err;
  }
  ::close(seen[1]);
  char word = ' ';
  EXPECT_EQ(::read(seen[0], &word, 1), 1) << "never were three in work";
  EXPECT_EQ(word, 'y') << "not by threads of one process";
  ::close(seen[0]);
}

TEST_F(AtOnce, WrongNumbersAreOneLine) {
  for (const char* wrong : {"0", "-1", "65", "some", "2x"}) {
    const RunSaid said = run(wrong);
    EXPECT_EQ(said.code, 64) << wrong;
    EXPECT_TRUE(said.has("winnow: error: --trials-per-device must be auto or 1 to 64, is '" + std::string(wrong) + "'"))
        << said.err;
  }
}

TEST_F(AtOnce, ATrialThatFailsLeavesThoseBesideItAlone) {
  const std::vector<std::string> good = {"--set", "train.eval_batch=16"};
  const auto alone = digests_alone(good);
  // The last one asks for more memory than there is.
  const RunSaid said = run("3", {"--set", "train.eval_batch=[16, 1000000]", "--strict"});
  EXPECT_EQ(said.code, 3) << said.err;
  EXPECT_TRUE(said.has("12 trials: 0 already done, 6 trained, 0 diverged, 6 failed")) << said.err;
  EXPECT_EQ(digests(), alone);
  EXPECT_TRUE(said.has("the trial is planned with ")) << said.err;
}

TEST_F(AtOnce, ATrialThatDoesNotFitBesideOthersWaitsForThem) {
  const std::vector<std::string> large = {"--set", "train.eval_batch=10000", "--set", "train.epochs=2"};
  const auto alone = digests_alone(large);
  emulator::set_memory_limit(peak_ + peak_ / 2);  // one fits
  const RunSaid said = run("3", large);
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("6 trained, 0 diverged, 0 failed")) << said.err;
  EXPECT_EQ(digests(), alone);
}

TEST_F(AtOnce, AWordToStopEndsAllOfThemAndTheRestIsTrainedByTheNextRun) {
  const std::vector<std::string> longer = {"--set", "train.epochs=12"};
  const auto alone = digests_alone(longer);
  {
    const pid_t self = ::getpid();
    const Onlooker onlooker(out(), [&](const Running& running) {
      if (running.size() < 3) return true;
      ::kill(self, SIGTERM);
      return false;
    });
    const RunSaid said = run("3", longer);
    EXPECT_EQ(said.code, 75) << said.err;
    EXPECT_TRUE(said.has("stopped on request")) << said.err;
  }
  EXPECT_LT(digests().size(), alone.size());
  EXPECT_FALSE(std::filesystem::exists(out() / "failed")) << "a stop is no failure";
  EXPECT_TRUE(files_.list(Layout(out()).running()).empty()) << "heartbeats of trials that ended";
  EXPECT_EQ(run("3", longer).code, 0);
  EXPECT_EQ(digests(), alone);
}

class AtOnceLost : public AtOnce {
 protected:
  AtOnceLost() : AtOnce("  - train.epochs: [40, 10, 11]\n") {}
  std::string longest() const {
    for (const TrialSpec& spec : trials()) {
      if (spec.settings.text("train.epochs").starts_with("40")) return spec.name();
    }
    ADD_FAILURE() << "the sweep has another number of epochs";
    return "";
  }
};

// Once its process is killed while it has all three in hand.
TEST_F(AtOnceLost, TrialsOfAProcessThatIsKilledAreTrainedAlone) {
  const auto alone = digests_alone();
  const Onlooker onlooker(out(), [&](const Running& running) {
    if (running.size() < 3) return true;
    ::kill(static_cast<pid_t>(running.front().process), SIGKILL);
    return false;
  });
  const RunSaid said = run("3");
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("given back, to be trained alone: its process, with ")) << said.err;
  EXPECT_TRUE(said.has("ended by signal 9")) << said.err;
  EXPECT_TRUE(said.has("3 trained, 0 diverged, 0 failed")) << said.err;
  EXPECT_EQ(digests(), alone);
}

// Whoever ends its process each time is found out, and those beside it are not.
TEST_F(AtOnceLost, ATrialThatEndsItsProcessAloneAsWellHasFailed) {
  auto expected = digests_alone();
  const std::string bad = longest();
  expected.erase(bad);
  const Onlooker onlooker(out(), [&, together = false](const Running& running) mutable {
    together = together || running.size() == 3;
    const auto found = std::ranges::find(running, bad, &RunningTrial::name);
    if (together && found != running.end()) ::kill(static_cast<pid_t>(found->process), SIGKILL);
    return true;
  });
  const RunSaid said = run("3");
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("2 trained, 0 diverged, 1 failed")) << said.err;
  EXPECT_EQ(digests(), expected);
  EXPECT_EQ(reason_why_failed(bad).find("its process ended by signal 9"), 0u) << reason_why_failed(bad);
}

// The onlooker's signal comes to the thread that trains nothing.
void fault_of_the_device(int) { emulator::fail_device(0, cudaErrorIllegalAddress); }

TEST_F(AtOnceLost, AFaultOfTheDeviceCostsNoneOfSeveralTrials) {
  const auto alone = digests_alone();
  std::signal(SIGURG, fault_of_the_device);
  const Onlooker onlooker(out(), [&](const Running& running) {
    if (running.size() < 3) return true;
    ::kill(static_cast<pid_t>(running.front().process), SIGURG);
    return false;
  });
  const RunSaid said = run("3");
  std::signal(SIGURG, SIG_DFL);
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("given back, to be trained alone: its process, with ")) << said.err;
  EXPECT_TRUE(said.has("an illegal memory access was encountered")) << said.err;
  EXPECT_TRUE(said.has("3 trained, 0 diverged, 0 failed")) << said.err;
  EXPECT_EQ(digests(), alone);
}

TEST_F(AtOnceLost, AFaultOfTheDeviceIsTheFailureOfATrialThatIsAlone) {
  auto expected = digests_alone();
  const std::string bad = longest();
  expected.erase(bad);
  std::signal(SIGURG, fault_of_the_device);
  const Onlooker onlooker(out(), [&](const Running& running) {
    const auto found = std::ranges::find(running, bad, &RunningTrial::name);
    if (found == running.end()) return true;
    ::kill(static_cast<pid_t>(found->process), SIGURG);
    return false;
  });
  const RunSaid said = run("1");
  std::signal(SIGURG, SIG_DFL);
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("2 trained, 0 diverged, 1 failed")) << said.err;
  EXPECT_EQ(digests(), expected);
  const std::string reason = reason_why_failed(bad);
  EXPECT_NE(reason.find("an illegal memory access was encountered"), std::string::npos) << reason;
}

}  // namespace
}  // namespace winnow::test
#endif
