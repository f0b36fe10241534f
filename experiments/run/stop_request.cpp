#include "experiments/run/stop_request.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>

namespace winnow {
namespace {

constexpr std::array kStopSignals = {SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGHUP, SIGINT};

// Set by the signal handler and by nothing else.
std::atomic<bool> told{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void note_signal(int) { told.store(true); }

// Nanoseconds of the monotonic clock at the first one; 0: there was none.
std::atomic<std::int64_t> interrupted{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

extern "C" void note_interrupt(int signal) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const std::int64_t now = std::int64_t{time.tv_sec} * kSecond + time.tv_nsec;
  std::int64_t first = 0;
  told.store(true);
  if (interrupted.compare_exchange_strong(first, now) || now - first < kSecond) return;
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  raise(signal);  // as soon as this handler returns
}

}  // namespace

SignalStack::SignalStack() : memory_(64 * 1024) {
  stack_t stack = {};
  stack.ss_sp = memory_.data();
  stack.ss_size = memory_.size();
  sigaltstack(&stack, &before_);
}

SignalStack::~SignalStack() { sigaltstack(&before_, nullptr); }

void catch_stop_signals() {
  told.store(false);
  interrupted.store(0);
  thread_local const SignalStack own;
  for (const int signal : kStopSignals) {
    struct sigaction action = {};
    if ((signal == SIGHUP || signal == SIGINT) && sigaction(signal, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN) {
      continue;
    }
    action = {};
    action.sa_handler = signal == SIGINT ? note_interrupt : note_signal;
    action.sa_flags = SA_ONSTACK;
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
