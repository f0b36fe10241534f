#include "experiments/run/terminal_text.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>

namespace winnow {
namespace {

// Of one of winnow's own colours (ESC [ 31 m) that begins here; 0: none does. No other: what is hidden is not read.
std::size_t length_of_colour(std::string_view text) {
  for (const std::string_view own : {"\033[0m", "\033[1m", "\033[31m", "\033[32m", "\033[33m"}) {
    if (text.starts_with(own)) return own.size();
  }
  return 0;
}

// The bytes of a character of UTF-8; 0 for one that is none.
std::size_t length_of_character(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const std::size_t length = byte(0) < 0x80   ? 1
                             : byte(0) < 0xc2 ? 0
                             : byte(0) < 0xe0 ? 2
                             : byte(0) < 0xf0 ? 3
                             : byte(0) < 0xf5 ? 4
                                              : 0;
  if (length > text.size()) return 0;
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// C0 but for ends of lines and tabs, DEL, C1, and what turns the direction of text or begins a line (U+2028 to 202E, U+2066 to 2069).
bool is_control(std::string_view character) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(character[at]); };
  if (character.size() == 1) return (byte(0) < 0x20 && byte(0) != '\n' && byte(0) != '\t') || byte(0) == 0x7f;
  if (character.size() == 2) return byte(0) == 0xc2 && byte(1) < 0xa0;
  return character.size() == 3 && byte(0) == 0xe2 &&
         ((byte(1) == 0x80 && byte(2) >= 0xa8 && byte(2) <= 0xae) ||
          (byte(1) == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9));
}

std::string without_controls(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = length_of_colour(text);
    if (length == 0) {
      length = length_of_character(text);
      if (length == 0 || is_control(text.substr(0, length))) {
        shown += '?';
        text.remove_prefix(std::max<std::size_t>(length, 1));
        continue;
      }
    }
    shown += text.substr(0, length);
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
