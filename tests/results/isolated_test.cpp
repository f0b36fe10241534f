// Children that crash, hang, take all memory or answer nonsense cost one item each.
#include "experiments/results/isolated.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <span>
#include <thread>

namespace winnow::test {
namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto raw = std::as_bytes(std::span(text.data(), text.size()));
  return {raw.begin(), raw.end()};
}

struct Answers {
  std::vector<std::size_t> order;
  std::map<std::size_t, std::string> texts, problems;
};

Answers run(std::size_t count, const std::function<std::string(std::size_t)>& work,
            const IsolationLimits& limits = {}) {
  Answers answers;
  run_isolated(count,
               {.work = [&](std::size_t i) { return bytes_of(work(i)); },
                .label = [](std::size_t i) { return "file" + std::to_string(i); },
                .succeeded =
                    [&](std::size_t i, const std::vector<std::byte>& bytes) {
                      answers.order.push_back(i);
                      answers.texts[i] = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
                    },
                .failed =
                    [&](std::size_t i, const Error& error) {
                      answers.order.push_back(i);
                      EXPECT_EQ(error.kind(), ErrorKind::Input);
                      answers.problems[i] = error.what();
                    }},
               limits);
  return answers;
}

TEST(Isolated, AnswersComeInOrderAndDeathsCostOneItemEach) {
  const Answers answers = run(300, [](std::size_t i) {
    if (i % 50 == 7) ::raise(SIGSEGV);
    if (i % 50 == 8) std::abort();
    if (i % 50 == 9) ::_exit(0);
    if (i % 50 == 10) fail(ErrorKind::Input, "file{}: is wrong", i);
    return std::string(i * 100, 'x');
  });
  ASSERT_EQ(answers.order.size(), 300u);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(answers.order[i], i);
    const bool bad = i % 50 >= 7 && i % 50 <= 10;
    EXPECT_EQ(answers.problems.contains(i), bad) << i;
    if (!bad) {
      EXPECT_EQ(answers.texts.at(i), std::string(i * 100, 'x'));
    }
  }
  EXPECT_NE(answers.problems.at(7).find("file7: crashed the HDF5 library (Segmentation fault)"), std::string::npos)
      << answers.problems.at(7);
  EXPECT_EQ(answers.problems.at(10), "file10: is wrong");
}

TEST(Isolated, AnEndlessLoopAndAllMemoryAreOneLineEach) {
  const IsolationLimits limits{.memory = std::size_t{256} << 20, .cpu_seconds = 1, .wall_seconds = 20};
  const Answers answers = run(
      4,
      [](std::size_t i) {
        volatile std::size_t spins = 0;
        while (i == 1) spins = spins + 1;
        if (i == 2) return std::to_string(std::vector<char>(std::size_t{1} << 30).size());
        return std::string("fine");
      },
      limits);
  EXPECT_EQ(answers.texts.at(0), "fine");
  EXPECT_EQ(answers.texts.at(3), "fine");
  EXPECT_NE(answers.problems.at(1).find("file1: took too long"), std::string::npos) << answers.problems.at(1);
  EXPECT_EQ(answers.problems.at(2), "file2: reading it takes more than 256 MiB of memory");
}

TEST(Isolated, AChildThatWaitsForeverIsGivenUp) {
  const IsolationLimits limits{.wall_seconds = 1};
  const Answers answers = run(
      2,
      [](std::size_t i) {
        while (i == 0) ::pause();
        return std::string("fine");
      },
      limits);
  EXPECT_EQ(answers.problems.count(0), 1u);
  EXPECT_EQ(answers.texts.at(1), "fine");
}

// Called by fork() in the process that stays: the first thread waits there, with its child's end of the pipe open.
std::atomic<bool> first_waits = false, other_began = false;
thread_local bool is_first = false;
void wait_for_the_other() {
  if (!is_first || first_waits.exchange(true)) return;
  for (int i = 0; i < 200 && !other_began; ++i) ::usleep(1000);
  ::usleep(200'000);  // it has started its own child by now, unless it is kept from that
}

TEST(Isolated, ADeathIsSeenWhateverAnotherThreadsChildDoes) {
  ASSERT_EQ(::pthread_atfork(nullptr, wait_for_the_other, nullptr), 0);
  std::jthread other([] {
    while (!first_waits) ::usleep(1000);
    other_began = true;
    run(1, [](std::size_t) {
      ::sleep(4);
      return std::string();
    });
  });
  is_first = true;
  const auto start = std::chrono::steady_clock::now();
  const Answers answers = run(1, [](std::size_t) -> std::string { ::_exit(0); });
  is_first = false;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  EXPECT_EQ(answers.problems.count(0), 1u);
}

TEST(Isolated, OneItemThrowsWhatIsWrong) {
  EXPECT_EQ(run_isolated("f", [] { return bytes_of("x"); }), bytes_of("x"));
  try {
    run_isolated("f", []() -> std::vector<std::byte> { fail(ErrorKind::Settings, "f: has version 9"); });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Settings);
    EXPECT_STREQ(error.what(), "f: has version 9");
  }
}

}  // namespace
}  // namespace winnow::test
