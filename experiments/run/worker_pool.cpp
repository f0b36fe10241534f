#include "experiments/run/worker_pool.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <system_error>

#include "core/error.h"
#include "distributed/agree.h"

namespace winnow {
namespace {

std::string how_it_ended(int status, const std::string& last) {
  std::string text = WIFSIGNALED(status)
                         ? fmt::format("ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)))
                         : fmt::format("ended with exit code {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) text += ", perhaps for want of memory";
  return last.empty() ? text : text + ": " + last;
}

}  // namespace

WorkerPool::~WorkerPool() {
  for (Process& process : processes_) {
    if (process.id > 0) {
      ::kill(process.id, SIGKILL);
      ::waitpid(process.id, nullptr, 0);
    }
    if (process.said >= 0) ::close(process.said);
  }
}

std::vector<pid_t> WorkerPool::processes() const {
  std::vector<pid_t> ids;
  for (const Process& process : processes_) ids.push_back(process.id);
  return ids;
}

void WorkerPool::end_worker(const std::exception& error) {
  std::cerr << reason_of(error) + "\n" << std::flush;  // at once: other threads may say something, too
  std::_Exit(static_cast<int>(kind_of(error)));
}

// False: the system has no room for one more.
bool WorkerPool::start(int worker) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return false;
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) {
    ::close(pipe[0]);
    ::close(pipe[1]);
    return false;
  }
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(0);  // it was gone before that took effect
    for (const Process& other : processes_) {
      if (other.said >= 0) ::close(other.said);
    }
    ::dup2(pipe[1], STDERR_FILENO);
    ::close(pipe[0]);
    ::close(pipe[1]);
    try {
      hooks_.work(worker);
    } catch (const std::exception& error) {
      end_worker(error);
    }
    std::_Exit(EXIT_SUCCESS);  // nothing of the parent's is tidied up or flushed twice
  }
  ::close(pipe[1]);
  ::fcntl(pipe[0], F_SETFL, O_NONBLOCK);
  Process& process = processes_[static_cast<std::size_t>(worker)];
  process = {};
  process.id = child;
  process.said = pipe[0];
  return true;
}

void WorkerPool::hear(int worker, const std::string& line) {
  const LastWords words = hooks_.say(worker, line);
  std::string& last = processes_[static_cast<std::size_t>(worker)].last;
  if (words != LastWords::AsBefore) last = words == LastWords::These ? line : "";
}

void WorkerPool::listen(int worker) {
  Process& process = processes_[static_cast<std::size_t>(worker)];
  std::array<char, 4096> piece;
  while (process.said >= 0) {
    const ssize_t got = ::read(process.said, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      ::close(std::exchange(process.said, -1));
      return;
    }
    process.line.append(piece.data(), static_cast<std::size_t>(got));
    for (std::size_t end; (end = process.line.find('\n')) != std::string::npos; process.line.erase(0, end + 1)) {
      hear(worker, process.line.substr(0, end));
    }
  }
}

void WorkerPool::reap(int worker) {
  Process& process = processes_[static_cast<std::size_t>(worker)];
  int status = 0;
  const pid_t ended = ::waitpid(process.id, &status, WNOHANG);
  if (ended != process.id) return;
  listen(worker);  // what it said before
  if (!process.line.empty()) hear(worker, process.line);
  if (process.said >= 0) ::close(process.said);
  const std::string last = process.last;
  process = {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) return;
  if (hooks_.died({.worker = worker,
                   .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                   .reason = how_it_ended(status, last)}))
    start(worker);
}

void WorkerPool::run(int workers) {
  processes_.assign(static_cast<std::size_t>(workers), {});
  int started = 0;
  while (started < workers && start(started)) ++started;
  if (started == 0 && workers > 0) {
    fail(ErrorKind::Unavailable, "cannot start a worker process: {}", std::generic_category().message(errno));
  }
  for (;;) {
    std::vector<pollfd> waiting;
    bool any = false, ending = false;  // one that closed its end is about to end
    for (const Process& process : processes_) {
      any = any || process.id > 0;
      ending = ending || (process.id > 0 && process.said < 0);
      if (process.said >= 0) waiting.push_back({.fd = process.said, .events = POLLIN, .revents = 0});
    }
    if (!any) return;
    ::poll(waiting.data(), waiting.size(), ending ? 1 : static_cast<int>(kTick.count()));
    for (int worker = 0; worker < workers; ++worker) listen(worker);
    for (int worker = 0; worker < workers; ++worker) {
      if (processes_[static_cast<std::size_t>(worker)].id > 0) reap(worker);
    }
    hooks_.tick();
  }
}

}  // namespace winnow
