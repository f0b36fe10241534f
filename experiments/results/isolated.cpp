#include "experiments/results/isolated.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace winnow {
namespace {

using Clock = std::chrono::steady_clock;
using Blob = std::vector<std::byte>;

constexpr std::size_t kItemsForAChild = 64;  // below that a second process is not worth its start
constexpr std::size_t kMostChildren = 8;

struct Head {
  std::uint64_t size;
  std::uint32_t problem;  // 0: bytes of a result; else an ErrorKind, and the bytes are its text
  std::uint32_t check;    // kCheck: a child that writes nonsense is dead to us
};
constexpr std::uint32_t kCheck = 0x77696e6e;

// An answer of a child: bytes, or what is wrong.
struct Answer {
  Blob bytes;
  std::optional<Error> problem;
};

std::size_t address_space() {
  std::ifstream pages("/proc/self/statm");
  std::size_t count = 0;
  pages >> count;
  return count * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void limit(int what, rlim_t value) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(what), &now) != 0) return;
  now.rlim_cur = std::min(value, now.rlim_max);
  ::setrlimit(static_cast<__rlimit_resource_t>(what), &now);
}

void limit_cpu(int seconds) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  limit(RLIMIT_CPU, static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec + 1 + seconds));
}

// The rest of a child's life: its items, one answer each. Never returns.
class Child {
 public:
  Child(int out, const IsolatedWork& work, const IsolationLimits& limits) : out_(out), work_(work), limits_(limits) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // A key pressed for the whole group is the parent's to answer; a crash is reported, not saved as a core file.
    for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) ::signal(ignored, SIG_IGN);
    for (const int fatal : {SIGXCPU, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) ::signal(fatal, SIG_DFL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_AS, address_space() + limits.memory);
    // What the C library says of a broken heap is no message of ours.
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
  }

  [[noreturn]] void run(std::size_t first, std::size_t end, std::size_t step) {
    for (std::size_t item = first; item < end; item += step) {
      limit_cpu(limits_.cpu_seconds);
      try {
        const Blob bytes = work_.work(item);
        answer(0, bytes.data(), bytes.size());
      } catch (const Error& error) {
        say(error.kind(), error.what());
      } catch (const std::bad_alloc&) {
        say(ErrorKind::Input,
            fmt::format("{}: reading it takes more than {} MiB of memory", work_.label(item), limits_.memory >> 20));
      } catch (const std::exception& error) {
        say(ErrorKind::Input, fmt::format("{}: cannot be read: {}", work_.label(item), error.what()));
      }
    }
    ::_exit(0);
  }

 private:
  void say(ErrorKind kind, const std::string& text) {
    answer(static_cast<std::uint32_t>(kind), text.data(), text.size());
  }
  void answer(std::uint32_t problem, const void* data, std::size_t size) {
    const Head head{size, problem, kCheck};
    write(&head, sizeof head);
    write(data, size);
  }
  void write(const void* data, std::size_t size) {
    for (const char* from = static_cast<const char*>(data); size > 0;) {
      const ssize_t done = ::write(out_, from, size);
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) ::_exit(1);
      from += done;
      size -= static_cast<std::size_t>(done);
    }
  }

  int out_;
  const IsolatedWork& work_;
  const IsolationLimits& limits_;
};

// Held from the opening of a pipe until this process has closed the child's end: a child that another thread starts meanwhile
// would have that end, too, and keep this process from seeing that its own has died.
std::mutex& one_start_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

// This process's end of one child: its items are first, first + step, ... below end.
class Worker {
 public:
  Worker(const IsolatedWork& work, const IsolationLimits& limits, std::size_t first, std::size_t end, std::size_t step)
      : work_(work), limits_(limits), next_(first), end_(end), step_(step) {
    start();
  }
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  bool busy() const { return next_ < end_; }
  int file() const { return in_; }
  Clock::time_point deadline() const { return heard_ + std::chrono::seconds(limits_.wall_seconds); }

  // Takes what the child has written; each whole answer goes to `take(item, Answer)`.
  template <class Take>
  void listen(Take&& take) {
    char part[1 << 16];
    const ssize_t got = ::read(in_, part, sizeof part);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) return died(stop(), take);
    heard_ = Clock::now();
    const auto* bytes = reinterpret_cast<const std::byte*>(part);
    buffer_.insert(buffer_.end(), bytes, bytes + got);
    std::size_t at = 0;
    for (Head head{}; buffer_.size() - at >= sizeof head && busy(); at += sizeof head + head.size) {
      std::memcpy(&head, buffer_.data() + at, sizeof head);
      if (head.check != kCheck) return died(stop(), take);
      if (buffer_.size() - at - sizeof head < head.size) break;
      const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(at + sizeof head);
      Answer answer{Blob(begin, begin + static_cast<std::ptrdiff_t>(head.size)), std::nullopt};
      if (head.problem != 0) {
        answer.problem.emplace(static_cast<ErrorKind>(head.problem),
                               std::string(reinterpret_cast<const char*>(answer.bytes.data()), answer.bytes.size()));
      }
      take(std::exchange(next_, next_ + step_), std::move(answer));
    }
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(std::min(at, buffer_.size())));
  }

  template <class Take>
  void give_up(Take&& take) {
    ::kill(pid_, SIGKILL);
    stop();
    died(SIGKILL, take);
  }

 private:
  void start() {
    std::unique_lock lock(one_start_at_a_time());
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      fail(ErrorKind::Unavailable, "cannot start a process to read files in: {}", std::strerror(errno));
    }
    heard_ = Clock::now();
    pid_ = ::fork();
    if (pid_ == 0) {
      lock.unlock();  // the work may start children of its own
      ::close(ends[0]);
      Child(ends[1], work_, limits_).run(next_, end_, step_);
    }
    const int code = errno;
    ::close(ends[1]);
    lock.unlock();
    in_ = ends[0];
    if (pid_ < 0) {
      fail(ErrorKind::Unavailable, "cannot start a process to read files in: {}", std::strerror(code));
    }
  }

  // Waits for the child, which has closed its end, was killed, or is killed now. Returns the signal that ended it, or 0.
  int stop() {
    if (in_ >= 0) ::close(std::exchange(in_, -1));
    if (pid_ <= 0) return 0;
    if (busy()) {
      // It is dead or about to be: the pipe is closed. A child that still works on an item is not waited for.
      int state = 0;
      for (int i = 0; i < 50; ++i) {
        if (::waitpid(pid_, &state, WNOHANG) == pid_) return ended(state);
        ::usleep(2000);
      }
      ::kill(pid_, SIGKILL);
    }
    int state = 0;
    while (::waitpid(pid_, &state, 0) < 0 && errno == EINTR) {
    }
    return ended(state);
  }
  int ended(int state) {
    pid_ = -1;
    return WIFSIGNALED(state) ? WTERMSIG(state) : 0;
  }

  template <class Take>
  void died(int signal, Take&& take) {
    buffer_.clear();
    if (!busy()) return;
    const bool limit = signal == SIGXCPU || signal == SIGKILL;
    const std::string how = limit         ? "took too long or too much memory to read"
                            : signal == 0 ? "ended the process that read it"
                                          : fmt::format("crashed the HDF5 library ({})", ::strsignal(signal));
    const std::size_t item = std::exchange(next_, next_ + step_);
    take(item, Answer{{},
                      Error(ErrorKind::Input,
                            fmt::format("{}: {}; the file is damaged, or was made to do so", work_.label(item), how))});
    if (busy()) start();
  }

  const IsolatedWork& work_;
  const IsolationLimits& limits_;
  std::size_t next_, end_, step_;
  pid_t pid_ = -1;
  int in_ = -1;
  Blob buffer_;
  Clock::time_point heard_;
};

std::size_t cores() {
  cpu_set_t allowed;
  const bool known = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0;
  return known ? static_cast<std::size_t>(std::max(1, CPU_COUNT(&allowed))) : 1;
}

}  // namespace

void run_isolated(std::size_t count, const IsolatedWork& work, const IsolationLimits& limits) {
  const std::size_t children = std::clamp<std::size_t>(count / kItemsForAChild, 1, std::min(cores(), kMostChildren));
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::size_t i = 0; i < children && i < count; ++i) {
    workers.push_back(std::make_unique<Worker>(work, limits, i, count, children));
  }
  std::map<std::size_t, Answer> early;  // answers whose turn has not come
  std::size_t turn = 0;
  const auto take = [&](std::size_t item, Answer answer) {
    early.emplace(item, std::move(answer));
    for (auto next = early.find(turn); next != early.end(); next = early.find(turn)) {
      Answer ready = std::move(next->second);
      early.erase(next);
      if (ready.problem) {
        work.failed(turn, *ready.problem);
      } else {
        work.succeeded(turn, std::move(ready.bytes));
      }
      ++turn;
    }
  };
  while (turn < count) {
    std::vector<pollfd> waiting;
    std::vector<Worker*> who;
    Clock::time_point first = Clock::time_point::max();
    for (const auto& worker : workers) {
      if (!worker->busy()) continue;
      waiting.push_back({worker->file(), POLLIN, 0});
      who.push_back(worker.get());
      first = std::min(first, worker->deadline());
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(first - Clock::now()).count();
    ::poll(waiting.data(), waiting.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000)));
    for (std::size_t i = 0; i < who.size(); ++i) {
      if (waiting[i].revents != 0) {
        who[i]->listen(take);
      } else if (Clock::now() > who[i]->deadline()) {
        who[i]->give_up(take);
      }
    }
  }
}

std::vector<std::byte> run_isolated(const std::string& label, const std::function<std::vector<std::byte>()>& work,
                                    const IsolationLimits& limits) {
  std::vector<std::byte> result;
  run_isolated(1,
               {.work = [&](std::size_t) { return work(); },
                .label = [&](std::size_t) { return label; },
                .succeeded = [&](std::size_t, std::vector<std::byte> bytes) { result = std::move(bytes); },
                .failed = [](std::size_t, const Error& error) { throw error; }},
               limits);
  return result;
}

}  // namespace winnow
