#include "distributed/quiet_thread.h"

#include <pthread.h>
#include <csignal>

#include <utility>

namespace winnow {
namespace {

class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_ = {};
};

}  // namespace

std::thread start_quiet_thread(std::function<void()> work) {
  const AllSignalsBlocked blocked;  // a thread has the mask of who starts it
  return std::thread(std::move(work));
}

}  // namespace winnow
