#include "experiments/run/stop_request.h"

#include <atomic>
#include <csignal>

namespace winnow {
namespace {

// Set by the signal handler and by nothing else.
std::atomic<bool> told{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void note_signal(int) { told.store(true); }

}  // namespace

void catch_stop_signals() {
  told.store(false);
  for (const int signal : {SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGHUP, SIGINT}) {
    struct sigaction action = {};
    if ((signal == SIGHUP || signal == SIGINT) && sigaction(signal, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN) {
      continue;
    }
    action = {};
    action.sa_handler = note_signal;
    if (signal == SIGINT) action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
}

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
