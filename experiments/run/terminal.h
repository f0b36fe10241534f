// What a stream of this process is shown on. Plain values; the size is asked for anew at every call, so that a resized
// window is noticed.
#pragma once

#include <cstddef>
#include <string>

namespace winnow {

enum class Colour { Green = 32, Yellow = 33, Red = 31 };

struct Terminal {
  bool live = false;     // a terminal, on which text can be written over
  bool colours = false;  // and it wants colours: NO_COLOR is not set, TERM is not "dumb"
  int device = -1;       // open on the terminal, to ask for its size; -1: nothing to ask

  // The narrower of COLUMNS (where that is set) and the window; 80 by 24 where nothing says more.
  std::size_t columns() const;
  std::size_t rows() const;
  std::string paint(Colour colour, const std::string& text) const;  // as it is without colours
};

// `stream`: STDOUT_FILENO or STDERR_FILENO. A pipe to mpirun counts as the terminal to which mpirun passes it on.
Terminal terminal_of(int stream);

}  // namespace winnow
