// Ends the process where a call of MPI does not come back: a rank that stands still keeps all others in what starts or ends MPI,
// which gives no request to ask. It says so on standard error and leaves with 69, as who meets RanksLost does. A thread of
// its own watches, and takes no signals.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace winnow {

class Deadline {
 public:
  Deadline(std::string call, double seconds);  // "the start of MPI"
  ~Deadline();                                 // it came back
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  void watch();

  std::string call_;
  double seconds_;
  std::mutex guard_;
  std::condition_variable over_;
  bool came_back_ = false;
  std::thread thread_;  // last: it uses all of these
};

}  // namespace winnow
