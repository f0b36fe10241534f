#include "experiments/run/stop_request.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>

namespace winnow {
namespace {

constexpr std::array kStopSignals = {SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGHUP, SIGINT};

// Set by the signal handler and by nothing else.
std::atomic<bool> told{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void note_signal(int) { told.store(true); }

// Kernels of oneDNN put memory of the heap in the place of the stack while they compute. What the system stores of the
// processor when a signal comes would be written over whatever lies below, so handlers have memory of their own.
void use_own_stack() {
  alignas(64) static std::array<std::byte, 64 * 1024> memory;
  stack_t stack = {};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  sigaltstack(&stack, nullptr);
}

}  // namespace

void catch_stop_signals() {
  told.store(false);
  use_own_stack();
  for (const int signal : kStopSignals) {
    struct sigaction action = {};
    if ((signal == SIGHUP || signal == SIGINT) && sigaction(signal, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN) {
      continue;
    }
    action = {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_ONSTACK;
    if (signal == SIGINT) action.sa_flags |= static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
}

StopSignalsBlocked::StopSignalsBlocked() {
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int signal : kStopSignals) sigaddset(&blocked, signal);
  pthread_sigmask(SIG_BLOCK, &blocked, &before_);
}

StopSignalsBlocked::~StopSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

bool StopRequest::operator()() {
  if (stop_) return true;
  if (told.load(std::memory_order_relaxed)) {
    notice_.give();
    return stop_ = true;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - listened_ < kListenEvery) return false;
  listened_ = now;
  return stop_ = notice_.heard();
}

}  // namespace winnow
