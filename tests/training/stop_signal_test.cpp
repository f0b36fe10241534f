// Signals that come while kernels compute.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <thread>
#include <vector>

#include "experiments/run/stop_request.h"

namespace winnow {
namespace {

ucontext_t outside, inside;

void raise_and_return() { ::raise(SIGUSR2); }

// How many bytes of a stack in the heap are written from its end on when a signal comes there.
std::ptrdiff_t bytes_written_by_a_signal() {
  std::vector<char> stack(std::size_t{256} * 1024, 0x5a);
  ::getcontext(&inside);
  inside.uc_stack.ss_sp = stack.data();
  inside.uc_stack.ss_size = stack.size();
  inside.uc_link = &outside;
  ::makecontext(&inside, raise_and_return, 0);
  ::swapcontext(&outside, &inside);
  const auto untouched = std::ranges::find_if(stack, [](char byte) { return byte != 0x5a; });
  return std::distance(untouched, stack.end());
}

// Kernels of oneDNN compute on a stack in the heap, no larger than they need: a signal must write nothing there.
TEST(StopSignals, WriteNothingToTheStackThatTheyInterrupt) {
  ::signal(SIGUSR2, SIG_IGN);
  bytes_written_by_a_signal();  // the first call of a function looks it up
  const std::ptrdiff_t ignored = bytes_written_by_a_signal();
  catch_stop_signals();
  EXPECT_LT(bytes_written_by_a_signal(), ignored + 256);
  catch_stop_signals();  // nobody has told this process to stop
  ::signal(SIGUSR2, SIG_DFL);
}

// `timeout -s INT` tells its child and then its whole group, which has the child in it.
TEST(StopSignals, ASecondInterruptEndsTheProcessUnlessItIsTheFirstOnceMore) {
  const pid_t child = ::fork();
  if (child == 0) {
    catch_stop_signals();
    for (int i = 0; i < 3; ++i) ::raise(SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    ::raise(SIGINT);
    ::_exit(0);
  }
  const auto began = std::chrono::steady_clock::now();
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == SIGINT) << state;
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::seconds(1)) << "not by the first three";
}

}  // namespace
}  // namespace winnow
