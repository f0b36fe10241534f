// Text of strangers on a terminal is text: a reason, a host or a label in a record may hold sequences that move the cursor, erase
// what was said or rename the window. While this lives, control characters that go to its stream are shown as '?', as ls does it,
// but for ends of lines, tabs and winnow's colours; where the stream leads to no terminal everything passes as it is. The stream must outlive
// it. Any thread may write, as far as the stream's own buffer allows that.
#pragma once

#include <ostream>
#include <streambuf>
#include <string_view>

namespace winnow {

// winnow's own sequence, which passes.
struct CursorControl {
  std::string_view sequence;
};

class TerminalText final : public std::streambuf {
 public:
  TerminalText(std::ostream& stream, int device);  // `device`: where the stream leads
  ~TerminalText() override;
  TerminalText(const TerminalText&) = delete;
  TerminalText& operator=(const TerminalText&) = delete;

 protected:
  int_type overflow(int_type character) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override { return behind_->pubsync(); }

 private:
  friend std::ostream& operator<<(std::ostream& out, CursorControl control);

  std::ostream& stream_;
  std::streambuf* behind_;
  int device_;
};

std::ostream& operator<<(std::ostream& out, CursorControl control);

}  // namespace winnow
