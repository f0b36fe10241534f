#include "experiments/submit/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "core/error.h"

extern char** environ;

namespace winnow {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostSaid = 64u << 20;

class OutputPipe {
 public:
  OutputPipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) fail(ErrorKind::Unavailable, "the system gives no pipe");
  }
  ~OutputPipe() {
    close_end(0);
    close_end(1);
  }
  OutputPipe(const OutputPipe&) = delete;
  OutputPipe& operator=(const OutputPipe&) = delete;
  int end(std::size_t which) const { return ends_[which]; }
  void close_end(std::size_t which) {
    if (ends_[which] >= 0) ::close(std::exchange(ends_[which], -1));
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

// Takes what is there; false at the end of it. `cut`: there is no room for all.
bool read_some(int from, std::string& said, bool& cut) {
  char part[1 << 16];
  const ssize_t got = ::read(from, part, sizeof part);
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  cut = cut || (got > 0 && said.size() >= kMostSaid);
  if (got > 0 && !cut) said.append(part, static_cast<std::size_t>(got));
  return got > 0;
}

std::vector<char*> environment_without(const std::set<std::string>& names) {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!names.contains(std::string(text.substr(0, text.find('='))))) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

// Its standard input is empty; it leads a process group, so that all it starts can be ended with it.
std::optional<pid_t> start_program(const std::vector<std::string>& words, const std::set<std::string>& without,
                                   const OutputPipe& out, const OutputPipe& err) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.end(1), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.end(1), STDERR_FILENO);
  // What this program ignores, others expect to be as always.
  sigset_t usual;
  ::sigemptyset(&usual);
  for (const int number : {SIGPIPE, SIGXFSZ}) ::sigaddset(&usual, number);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const std::vector<char*> environment = environment_without(without);
  pid_t child = 0;
  const int problem = ::posix_spawnp(&child, argv[0], &actions, &attributes, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return problem == 0 ? std::optional(child) : std::nullopt;
}

}  // namespace

std::optional<ProgramEnd> run_program(const std::vector<std::string>& words, std::chrono::milliseconds limit,
                                      const std::set<std::string>& without) {
  const Clock::time_point deadline = Clock::now() + limit;
  OutputPipe out, err;
  const auto child = start_program(words, without, out, err);
  if (!child) return std::nullopt;
  out.close_end(1);
  err.close_end(1);
  ProgramEnd end;
  // A program that has ended may have left others that hold the pipes, so the end of either is not waited for.
  bool out_open = true, err_open = true;
  int status = 0;
  bool ended = false, cut = false;
  while (!ended || out_open || err_open) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {  // also where it has ended: what it said may be still in the pipes
      end.timed_out = true;
      break;
    }
    std::array<pollfd, 2> wanted{pollfd{out_open ? out.end(0) : -1, POLLIN, 0},
                                 pollfd{err_open ? err.end(0) : -1, POLLIN, 0}};
    // Who has closed both is about to end; who has not may be gone, and have left them to another process.
    const long look = ended ? 0 : out_open || err_open ? 50 : 1;  // ms
    const int ready = ::poll(wanted.data(), wanted.size(), static_cast<int>(std::min<long>(left, look)));
    if (wanted[0].revents != 0) out_open = read_some(out.end(0), end.out, cut);
    if (wanted[1].revents != 0) err_open = read_some(err.end(0), end.err, cut);
    if (ended && ready <= 0) break;
    if (!ended) ended = ::waitpid(*child, &status, WNOHANG) == *child;
  }
  if (end.timed_out) ::kill(-*child, SIGKILL);
  while (!ended && ::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!end.timed_out && !cut && WIFEXITED(status)) end.code = WEXITSTATUS(status);
  return end;
}

}  // namespace winnow
