// Several trials at once on one GPU, as `winnow run` trains them: the bits that each has alone, and what a failure, a fault, a
// want of memory and a word to stop do to those beside it.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <nlohmann/json.hpp>
#include <thread>

#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/sweep_state.h"
#include "tests/device/emulated.h"

#if defined(WINNOW_EMULATED)
#include "tests/device/run_on_emulated.h"

namespace winnow::test {
namespace {

using Running = std::vector<RunningTrial>;

// A number that this process shares with the workers that it forks.
class Shared {
 public:
  Shared() {
    void* const memory = ::mmap(nullptr, sizeof(Number), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    number_ = new (memory) Number(0);
  }
  ~Shared() { ::munmap(number_, sizeof(Number)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  std::atomic<int>& operator*() const { return *number_; }

 private:
  using Number = std::atomic<int>;
  Number* number_;
};

class AtOnce : public RunOnEmulated {
 protected:
  explicit AtOnce(const std::string& axes =
                      "  - cases:\n"
                      "      - dense\n"
                      "      - {name: rigl, method.density: 0.2, method.delta_t: 2it}\n"
                      "      - {name: gmp, method.density: 0.2, train.optimizer: adam, train.lr: 0.001}\n"
                      "    key: method.name\n"
                      "  - replicate: 2\n")
      : RunOnEmulated(axes) {}
  RunSaid run(const std::string& at_once, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--device", "cuda", "--trials-per-device", at_once});
    const RunSaid said = RunOnEmulated::run(more);
    EXPECT_EQ(said.has("ended by signal") || said.has("ended with exit code"), process_dies_) << said.err;
    return said;
  }
  // In a worker, whose trials wait in a launch until so many are in work.
  Running in_work(std::size_t trials) const {
    PosixFiles files;
    for (int looks = 0; looks < 60'000; ++looks) {
      Running running = read_running(files, out(), unix_now());
      if (running.size() >= trials) return running;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return {};
  }
  bool is_training(const std::string& trial) const {
    PosixFiles files;
    return is_in_work(files, out(), trial);
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
  std::size_t peak_ = 0;       // bytes that the largest of these took
  bool process_dies_ = false;  // in the runs that follow
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
  const Shared of_one_process;
  emulator::before_launches([&] {
    if (*of_one_process != 0) return;
    const Running running = in_work(3);
    const bool same =
        running.size() == 3 && running[0].process == running[1].process && running[1].process == running[2].process;
    *of_one_process = same ? 1 : 2;
  });
  const RunSaid said = run("3");
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("6 of 6 trials to train by a worker, 1 thread each")) << said.err;
  EXPECT_TRUE(said.has("on 1 GPU (Emulated GPU), 3 at once on each")) << said.err;
  EXPECT_TRUE(said.has("[6/6] ")) << said.err;
  EXPECT_EQ(*of_one_process, 1) << "never were three in work, or not in one process";
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
  const Shared asked;
  emulator::before_launches([&, run = ::getpid()] {
    if (*asked != 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));  // or they end before they hear of it
    if (*asked == 0 && in_work(3).size() == 3 && (*asked).exchange(1) == 0) ::kill(run, SIGTERM);
  });
  const RunSaid said = run("3", longer);
  emulator::before_launches({});
  EXPECT_EQ(said.code, 75) << said.err;
  EXPECT_TRUE(said.has("stopped on request")) << said.err;
  EXPECT_LT(digests().size(), alone.size());
  EXPECT_FALSE(std::filesystem::exists(out() / "failed")) << "a stop is no failure";
  EXPECT_TRUE(files_.list(Layout(out()).running()).empty()) << "heartbeats of trials that ended";
  EXPECT_EQ(run("3", longer).code, 0);
  EXPECT_EQ(digests(), alone);
}

class AtOnceLost : public AtOnce {
 protected:
  AtOnceLost() : AtOnce("  - train.epochs: [4, 2, 3]\n") {}
  std::string longest() const {
    for (const TrialSpec& spec : trials()) {
      if (spec.settings.text("train.epochs").starts_with("4")) return spec.name();
    }
    ADD_FAILURE() << "the sweep has another number of epochs";
    return "";
  }
};

// Once its process is killed while it has all three in hand.
TEST_F(AtOnceLost, TrialsOfAProcessThatIsKilledAreTrainedAlone) {
  const auto alone = digests_alone();
  const Shared killed;
  emulator::before_launches([&] {
    if (*killed == 0 && in_work(3).size() == 3 && (*killed).exchange(1) == 0) ::kill(::getpid(), SIGKILL);
  });
  process_dies_ = true;
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
  const Shared killed;
  emulator::before_launches([&] {
    const bool together = *killed == 0;
    if (together ? in_work(3).size() == 3 : is_training(bad)) {
      *killed = 1;
      ::kill(::getpid(), SIGKILL);
    }
  });
  process_dies_ = true;
  const RunSaid said = run("3");
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("2 trained, 0 diverged, 1 failed")) << said.err;
  EXPECT_EQ(digests(), expected);
  EXPECT_EQ(reason_why_failed(bad),
            "given up after 3 crashes before anything was saved, the last one: its process ended by signal 9 (Killed), "
            "perhaps for want of memory");
}

TEST_F(AtOnceLost, AFaultOfTheDeviceCostsNoneOfSeveralTrials) {
  const auto alone = digests_alone();
  const Shared struck;
  emulator::before_launches([&] {
    if (*struck == 0 && in_work(3).size() == 3 && (*struck).exchange(1) == 0) {
      emulator::fail_device(0, cudaErrorIllegalAddress);
    }
  });
  process_dies_ = true;
  const RunSaid said = run("3");
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
  emulator::before_launches([&] {
    if (is_training(bad)) emulator::fail_device(0, cudaErrorIllegalAddress);
  });
  process_dies_ = true;
  const RunSaid said = run("1");
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("2 trained, 0 diverged, 1 failed")) << said.err;
  EXPECT_EQ(digests(), expected);
  const std::string reason = reason_why_failed(bad);
  EXPECT_NE(reason.find("an illegal memory access was encountered"), std::string::npos) << reason;
}

}  // namespace
}  // namespace winnow::test
#endif
