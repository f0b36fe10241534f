// Processes that a run starts on its own machine, to train several trials at once without MPI. They are forked while this
// process has one thread, end when it ends however it ends, and are replaced when they die. One pool at a time.
#pragma once

#include <sys/types.h>
#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace winnow {

// How a worker ended that did not return from its work.
struct WorkerDeath {
  int worker = 0;
  int signal = 0;      // that ended it, 0: none did
  std::string reason;  // one line: "ended by signal 11 (Segmentation fault): <its last words>"
  // Who is told to end by somebody has not crashed: a second Ctrl-C.
  bool by_somebody() const { return signal == SIGINT || signal == SIGTERM || signal == SIGHUP; }
};

class WorkerPool {
 public:
  // What a line of a worker makes of the last words that its death is told with.
  enum class LastWords { These, AsBefore, None };
  struct Hooks {
    std::function<void(int worker)> work;  // in the worker's process; an exception that leaves it is a death
    // Each whole line that a worker writes to standard error.
    std::function<LastWords(int worker, const std::string& line)> say;
    std::function<bool(const WorkerDeath&)> died;  // true: start another in its place
    std::function<void()> tick;                    // every kTick at least, while workers run
  };
  explicit WorkerPool(Hooks hooks) : hooks_(std::move(hooks)) {}
  ~WorkerPool();  // kills what still runs
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // For work() that other threads still take part in: ends the worker as an exception that leaves work() does.
  [[noreturn]] static void end_worker(const std::exception& error);

  std::vector<pid_t> processes() const;  // of each worker; -1: it has none now

  // Returns when all have ended. Error{Unavailable} if not one can be started.
  void run(int workers);

  static constexpr std::chrono::milliseconds kTick{200};

 private:
  struct Process {
    pid_t id = -1;     // -1: none
    int said = -1;     // the reading end of its standard error
    std::string line;  // the beginning of one
    std::string last;  // words, by Hooks::say
  };
  bool start(int worker);
  void hear(int worker, const std::string& line);
  void listen(int worker);
  void reap(int worker);

  Hooks hooks_;
  std::vector<Process> processes_;
};

}  // namespace winnow
