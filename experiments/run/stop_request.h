// A wish to stop: the signals that ask for one, and the word that passes it on, so that a signal to one process stops
// the whole job. The signal handlers are the process's own; each thread that asks has a StopRequest.
#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <vector>

#include "distributed/communicator.h"

namespace winnow {

// From here on TERM, USR1, USR2, XCPU, HUP and INT set a flag instead of ending the process; INT only at first, so that another
// Ctrl-C a second later ends it at once: what comes sooner is the same one, passed on by `timeout` or a launcher. HUP and
// INT stay ignored where they were (nohup, jobs in the background).
void catch_stop_signals();

// Memory of this thread's own for handlers of signals, as long as it lives: kernels of oneDNN put memory of the heap in the place
// of the stack while they compute, and what the system stores of the processor would be written over whatever lies below; and a
// stack that has overflown has no room for it.
class SignalStack {
 public:
  SignalStack();
  ~SignalStack();
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  std::vector<std::byte> memory_;
  stack_t before_ = {};
};

// While one lives, threads that are started leave these signals to the others: their handlers' memory is that of one thread.
class StopSignalsBlocked {
 public:
  StopSignalsBlocked();
  ~StopSignalsBlocked();
  StopSignalsBlocked(const StopSignalsBlocked&) = delete;
  StopSignalsBlocked& operator=(const StopSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

class StopRequest {
 public:
  explicit StopRequest(Notice& notice) : notice_(notice) {}
  // True once this process was told to stop or another one passed it on; passes on what this one was told. Cheap enough
  // for every training step.
  bool operator()();

 private:
  static constexpr std::chrono::milliseconds kListenEvery{20};
  Notice& notice_;
  bool stop_ = false;
  std::chrono::steady_clock::time_point listened_;
};

}  // namespace winnow
