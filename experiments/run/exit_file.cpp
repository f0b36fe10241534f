#include "experiments/run/exit_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>

namespace winnow {

void note_exit_code(int code) noexcept {
  const char* path = std::getenv("WINNOW_EXIT_FILE");
  if (path == nullptr || *path == '\0') return;
  const int file = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return;
  std::array<char, 16> text{};
  char* end = std::to_chars(text.data(), text.data() + text.size() - 1, code).ptr;
  *end++ = '\n';
  // Where the disk is full the script has an empty file, and takes the launcher's code.
  [[maybe_unused]] const ssize_t written = ::write(file, text.data(), static_cast<std::size_t>(end - text.data()));
  ::close(file);
}

}  // namespace winnow
