// What may be written on a terminal: text, and no sequence of a stranger.
#include "experiments/run/terminal_text.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <iomanip>
#include <sstream>
#include <string>

namespace winnow::test {
namespace {

struct Pty {
  int device = ::posix_openpt(O_RDWR | O_NOCTTY);
  ~Pty() { ::close(device); }
};

std::string shown(const std::string& text) {
  const Pty pty;
  EXPECT_EQ(::isatty(pty.device), 1);
  std::ostringstream stream;
  const TerminalText filter(stream, pty.device);
  stream << text << std::flush;
  EXPECT_TRUE(stream.good());
  return stream.str();
}

TEST(TerminalText, ShowsControlCharactersAsQuestionMarks) {
  EXPECT_EQ(shown("\033]0;owned\a\033[2J\033[Hdense"), "?]0;owned??[2J?[Hdense");
  EXPECT_EQ(shown("a\rb\bc\x7f" + std::string(1, '\0')), "a?b?c??");
  EXPECT_EQ(shown("\xc2\x9b"
                  "2J\xc2\x85"),
            "?2J?")
      << "C1 in UTF-8";
  EXPECT_EQ(shown("\033"), "?");
  EXPECT_EQ(shown("\033[31"), "?[31") << "cut short";
}

TEST(TerminalText, LeavesTextColoursAndLinesAlone) {
  for (const std::string text :
       {"", "a\tb\nc\n", "\033[1mbold\033[0m \033[31mred\033[0m", "größer – 90 % \xc2\xa0 \xc3\x9b 模型"}) {
    EXPECT_EQ(shown(text), text);
  }
}

TEST(TerminalText, HidesNothingAndTurnsNothingRound) {
  EXPECT_EQ(shown("\033[8mhidden"), "?[8mhidden");
  EXPECT_EQ(shown("\033[30;40m"), "?[30;40m");
  EXPECT_EQ(shown("a\xe2\x80\xae"
                  "b\xe2\x81\xa6"
                  "c\xe2\x80\xa8"),
            "a?b?c?");
  EXPECT_EQ(shown("\x9b"
                  "2J \xff \xc3( \xe2\x80"),
            "?2J ? ?( ??")
      << "no UTF-8";
}

TEST(TerminalText, PassesSequencesOfItsOwnAndPadding) {
  const Pty pty;
  std::ostringstream stream;
  {
    const TerminalText filter(stream, pty.device);
    stream << CursorControl{"\r\033[2A\033[J"} << std::setw(4) << 7 << '\033';
  }
  stream << "\033[2J";
  EXPECT_EQ(stream.str(), "\r\033[2A\033[J   7?\033[2J") << "and without it nothing is changed";
}

TEST(TerminalText, ChangesNothingThatGoesToNoTerminal) {
  std::ostringstream stream;
  const TerminalText filter(stream, -1);
  stream << "\033[2J" << CursorControl{"\r"};
  EXPECT_EQ(stream.str(), "\033[2J\r");
}

}  // namespace
}  // namespace winnow::test
