#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "distributed/launch.h"
#include "experiments/cli/verbs.h"
#include "experiments/run/exit_file.h"
#include "experiments/run/terminal_text.h"

namespace {

// Where one is closed the next file that is opened would have its number, and what is said would be written there. What stands in
// its place can neither be read nor written, so that nothing is taken for said.
void fill_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    (void)open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // takes the lowest number that is free
  }
}

// Threads that wait for each other spin for milliseconds by OpenMP's default, which takes the cores from those they wait for
// wherever something else runs. They are to sleep soon. OpenMP reads this when the program is loaded, so it is loaded again.
void let_threads_sleep(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  std::error_code unknown;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  setenv("GOMP_SPINCOUNT", "1000", 1);         // some 10 microseconds, as long as it takes to wake a thread
  if (!unknown) execv(program.c_str(), argv);  // where that fails the program works all the same
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  // A reader that has seen enough, or a limit on file sizes, is an error of that write and not the end of a run.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (!args.empty() && (winnow::is_run(args.front()) || args.front() == "bench")) let_threads_sleep(argv);
  int code = 0;
  {
    const winnow::TerminalText out(std::cout, STDOUT_FILENO), err(std::cerr, STDERR_FILENO);
    code = winnow::run_command_line(args, std::cout, std::cerr);
  }
  const bool ran = !args.empty() && winnow::is_run(args.front()) && winnow::read_launch().rank == 0;
  if (code != 0 || ran) winnow::note_exit_code(code);
  return code;
}
