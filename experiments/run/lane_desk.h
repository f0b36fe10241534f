// Between the lanes of a rank and MPI, which the rank's first thread alone calls, so that any MPI will do: a lane that wants a ticket
// asks that thread and waits for it, and news and the word to stop are passed on by it. The first thread serves as long as a lane
// lives. Borrows all it is given.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/run/stop_request.h"
#include "experiments/run/trial_lanes.h"
#include "experiments/run/trial_news.h"

namespace winnow {

class LaneDesk {
 public:
  struct Job {
    Tickets& tickets;
    StopRequest& stop;
    NewsDesk& news;
    std::function<void()> wake;  // has the first thread call serve() soon
  };
  explicit LaneDesk(Job job) : job_(std::move(job)) {}
  LaneDesk(const LaneDesk&) = delete;
  LaneDesk& operator=(const LaneDesk&) = delete;

  // By a lane.
  TrialLanes::Links links();
  // By any thread, from within a handler of what keeps the rank from going on; the first one counts. All lanes end at their next
  // step.
  void give_up() noexcept;

  // By the first thread. What goes wrong here is as what goes wrong in a lane.
  void serve() noexcept;
  void throw_what_went_wrong() const;  // when all lanes have ended

 private:
  class Window;  // a lane's tickets
  class Word;    // its word to stop
  class Slip;    // its news
  struct Request {
    std::size_t counter;
    std::int64_t ticket = -1;
    bool done = false;
  };
  std::int64_t draw(std::size_t counter);

  Job job_;
  bool broken_ = false;            // the first thread can neither draw nor tell any more
  std::atomic<bool> stop_{false};  // the lanes
  mutable std::mutex mutex_;       // of what follows
  std::condition_variable answered_;
  std::vector<Request*> requests_;
  std::vector<TrialNews> news_;
  std::exception_ptr error_;
};

}  // namespace winnow
