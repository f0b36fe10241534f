#include "experiments/run/terminal_text.h"

#include <unistd.h>

#include <cstddef>
#include <string>

namespace winnow {
namespace {

constexpr char kEscape = '\033';

// Of a colour (ESC [ 31 m) that begins here; 0: none does.
std::size_t length_of_colour(std::string_view text) {
  if (!text.starts_with("\033[")) return 0;
  const std::size_t last = text.find_first_not_of("0123456789;", 2);
  return last != std::string_view::npos && text[last] == 'm' ? last + 1 : 0;
}

// C0 and DEL in a byte, C1 in the two that UTF-8 has for them.
std::size_t length_of_control(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  if (byte(0) == '\n' || byte(0) == '\t') return 0;
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  return text.size() > 1 && byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) < 0xa0 ? 2 : 0;
}

std::string without_controls(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = text.front() == kEscape ? length_of_colour(text) : 0;
    if (length > 0) {
      shown += text.substr(0, length);
    } else if (length = length_of_control(text); length > 0) {
      shown += '?';
    } else {
      length = 1;
      shown += text.front();
    }
    text.remove_prefix(length);
  }
  return shown;
}

}  // namespace

TerminalText::TerminalText(std::ostream& stream, int device)
    : stream_(stream), behind_(stream.rdbuf(this)), device_(device) {}

TerminalText::~TerminalText() { stream_.rdbuf(behind_); }

TerminalText::int_type TerminalText::overflow(int_type character) {
  if (traits_type::eq_int_type(character, traits_type::eof())) return traits_type::not_eof(character);
  const char one = traits_type::to_char_type(character);
  return xsputn(&one, 1) == 1 ? character : traits_type::eof();
}

// Asked each time: a worker's stream, which it has from its parent, is a pipe.
std::streamsize TerminalText::xsputn(const char* text, std::streamsize size) {
  if (isatty(device_) == 0) return behind_->sputn(text, size);
  const std::string shown = without_controls({text, static_cast<std::size_t>(size)});
  const auto length = static_cast<std::streamsize>(shown.size());
  return behind_->sputn(shown.data(), length) == length ? size : 0;
}

std::ostream& operator<<(std::ostream& out, CursorControl control) {
  const auto* filter = dynamic_cast<TerminalText*>(out.rdbuf());
  if (filter == nullptr) return out << control.sequence;
  const auto length = static_cast<std::streamsize>(control.sequence.size());
  if (filter->behind_->sputn(control.sequence.data(), length) != length) out.setstate(std::ios::badbit);
  return out;
}

}  // namespace winnow
