#include "experiments/run/exit_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>

namespace winnow {
namespace {

// Open for writing; less than 0: no name is set, or there is such a file.
int new_file_for_script(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr || *path == '\0') return -1;
  return ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

}  // namespace

void note_exit_code(int code) noexcept {
  const int file = new_file_for_script("WINNOW_EXIT_FILE");
  if (file < 0) return;
  std::array<char, 16> text{};
  char* end = std::to_chars(text.data(), text.data() + text.size() - 1, code).ptr;
  *end++ = '\n';
  // Where the disk is full the script has an empty file, and takes the launcher's code.
  [[maybe_unused]] const ssize_t written = ::write(file, text.data(), static_cast<std::size_t>(end - text.data()));
  ::close(file);
}

void note_progress() noexcept {
  if (const int file = new_file_for_script("WINNOW_PROGRESS_FILE"); file >= 0) ::close(file);
}

}  // namespace winnow
