// Worker processes that somebody has stopped (SIGSTOP, a debugger), by what the system says of them. They are waited for: who stopped
// one may let it go on. One thread.
#pragma once

#include <sys/types.h>
#include <span>
#include <vector>

namespace winnow {

class StillWorkers {
 public:
  explicit StillWorkers(double patience) : patience_(patience) {}  // seconds

  struct Change {
    int worker = 0;
    pid_t process = 0;
    bool still = false;  // for as long as the patience lasts; else it goes on again
  };
  // `processes`: of each worker, -1: it has none. What came about since the last call; looks once a second at most.
  std::vector<Change> look(std::span<const pid_t> processes);

 private:
  struct Watched {
    pid_t process = -1;
    double seconds = 0;  // that it has been seen to stand still
    bool told = false;
  };
  std::vector<Watched> watched_;  // by worker
  double patience_, looked_ = 0;
};

}  // namespace winnow
