#include "experiments/run/terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace winnow {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

std::size_t number_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr) return 0;
  const std::string_view text(value);
  std::size_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? number : 0;
}

// Both may be unknown (0).
std::size_t narrower(std::size_t a, std::size_t b, std::size_t otherwise) {
  if (a == 0 && b == 0) return otherwise;
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

winsize size_of_window(int device) {
  winsize size{};
  if (device < 0 || ioctl(device, TIOCGWINSZ, &size) != 0) return {};
  return size;
}

// mpirun reads the streams of its ranks through pipes and writes them to its own; it is the parent of those beside it.
int terminal_of_launcher(int stream) {
  if (!is_set("OMPI_COMM_WORLD_RANK")) return -1;
  const std::string path = fmt::format("/proc/{}/fd/{}", getppid(), stream);
  const int device = open(path.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (device >= 0 && isatty(device) == 0) {
    close(device);
    return -1;
  }
  return device;
}

}  // namespace

std::size_t Terminal::columns() const { return narrower(number_in("COLUMNS"), size_of_window(device).ws_col, 80); }

std::size_t Terminal::rows() const { return narrower(number_in("LINES"), size_of_window(device).ws_row, 24); }

std::string Terminal::paint(Colour colour, const std::string& text) const {
  return colours ? fmt::format("\033[{}m{}\033[0m", static_cast<int>(colour), text) : text;
}

Terminal terminal_of(int stream) {
  Terminal terminal;
  terminal.device = isatty(stream) != 0 ? stream : terminal_of_launcher(stream);
  const char* kind = std::getenv("TERM");
  terminal.live = terminal.device >= 0 && (kind == nullptr || std::string_view(kind) != "dumb");
  terminal.colours = terminal.live && !is_set("NO_COLOR");
  return terminal;
}

}  // namespace winnow
