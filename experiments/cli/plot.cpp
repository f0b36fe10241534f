#include "experiments/cli/plot.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/error.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;

// Installed, PREFIX/bin/winnow has it in PREFIX/share/winnow; a build has it in the sources.
fs::path plotter() {
  std::error_code problem;
  const fs::path program = fs::read_symlink("/proc/self/exe", problem);
  for (const char* place : {"../share/winnow/plot.py", "../../tools/plot.py", "../../../tools/plot.py"}) {
    const fs::path path = (program.parent_path() / place).lexically_normal();
    if (fs::exists(path, problem)) return path;
  }
  fail(ErrorKind::Unavailable,
       "plot.py is not beside {}; winnow report --json | plot.py -o FILE draws with any copy of it", program.string());
}

void write_all(int pipe, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(pipe, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // it ended early and has said why
    at += static_cast<std::size_t>(written);
  }
}

}  // namespace

void check_picture(const fs::path& picture) {
  const std::string kind = picture.extension();
  if (kind != ".svg" && kind != ".pdf" && kind != ".png") {
    fail(ErrorKind::Usage, "--plot {}: the name must end in .svg, .pdf or .png", picture.string());
  }
  std::error_code ignored;
  const fs::path folder = picture.has_parent_path() ? picture.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, ignored))
    fail(ErrorKind::Io, "--plot {}: there is no folder {}", picture.string(), folder.string());
}

void draw_plot(const std::string& report, const fs::path& picture) {
  const std::string script = plotter().string(), target = picture.string();
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) fail(ErrorKind::Io, "no pipe to plot.py: {}", std::strerror(errno));
  std::signal(SIGPIPE, SIG_IGN);
  const pid_t child = ::fork();
  if (child < 0) fail(ErrorKind::Unavailable, "plot.py cannot be started: {}", std::strerror(errno));
  if (child == 0) {
    ::dup2(ends[0], STDIN_FILENO);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);  // the report has standard output for itself
    ::close(ends[0]);
    ::close(ends[1]);
    ::execlp("python3", "python3", script.c_str(), "-o", target.c_str(), nullptr);
    _exit(127);
  }
  ::close(ends[0]);
  write_all(ends[1], report);
  ::close(ends[1]);
  int state = 0;
  while (::waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return;
  if (WIFEXITED(state) && WEXITSTATUS(state) == 127)
    fail(ErrorKind::Unavailable, "--plot needs python3, which is not there");
  const bool lacks = WIFEXITED(state) && WEXITSTATUS(state) == static_cast<int>(ErrorKind::Unavailable);
  fail(lacks ? ErrorKind::Unavailable : ErrorKind::Input, "{}: not drawn", target);
}

}  // namespace winnow
