// Lines on standard error: plain in a log; on a terminal one more line shows the trial of this rank
// as it goes. One rank's; not synchronised.
#pragma once

#include <unistd.h>

#include <chrono>
#include <iostream>
#include <string>

namespace winnow {

class Console {
 public:
  Console(bool quiet, bool live) : quiet_(quiet), live_(live && isatty(STDERR_FILENO) != 0) {}
  void line(const std::string& text) {
    if (quiet_) return;
    std::cerr << (live_ ? "\r\033[K" : "") << text + "\n" << std::flush;
  }
  // Replaces the last one; at most four a second are shown.
  void live(const std::string& text) {
    using std::chrono::steady_clock;
    if (quiet_ || !live_ || steady_clock::now() - shown_ < std::chrono::milliseconds(250)) return;
    shown_ = steady_clock::now();
    std::cerr << "\r\033[K" << text << std::flush;
  }

 private:
  bool quiet_, live_;
  std::chrono::steady_clock::time_point shown_;
};

}  // namespace winnow
