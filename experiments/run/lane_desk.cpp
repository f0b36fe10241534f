#include "experiments/run/lane_desk.h"

#include <utility>

#include "core/error.h"

namespace winnow {

class LaneDesk::Window final : public Tickets {
 public:
  explicit Window(LaneDesk& desk) : desk_(desk) {}
  std::int64_t next(std::size_t counter) override { return desk_.draw(counter); }

 private:
  LaneDesk& desk_;
};

class LaneDesk::Word final : public Notice {
 public:
  explicit Word(LaneDesk& desk) : desk_(desk) {}
  // For all lanes; the first thread has heard the same signal, and tells the other ranks.
  void give() override { desk_.stop_ = true; }
  bool heard() override { return desk_.stop_; }

 private:
  LaneDesk& desk_;
};

class LaneDesk::Slip final : public NewsDesk {
 public:
  explicit Slip(LaneDesk& desk) : desk_(desk) {}
  void tell(const TrialNews& news) override {
    const std::lock_guard lock(desk_.mutex_);
    desk_.news_.push_back(news);
  }

 private:
  LaneDesk& desk_;
};

TrialLanes::Links LaneDesk::links() {
  return {.tickets = std::make_unique<Window>(*this),
          .notice = std::make_unique<Word>(*this),
          .news = std::make_unique<Slip>(*this)};
}

void LaneDesk::give_up() noexcept {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::current_exception();
  stop_ = true;
}

std::int64_t LaneDesk::draw(std::size_t counter) {
  Request request{.counter = counter};
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(&request);
  }
  job_.wake();
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [&] { return request.done; });
  if (request.ticket < 0) fail(ErrorKind::Stopped, "its rank cannot go on");
  return request.ticket;
}

void LaneDesk::serve() noexcept {
  std::unique_lock lock(mutex_);
  const std::vector<Request*> requests = std::exchange(requests_, {});
  const std::vector<TrialNews> news = std::exchange(news_, {});
  lock.unlock();
  try {
    if (!broken_) {
      for (Request* const request : requests) request->ticket = job_.tickets.next(request->counter);
      if (job_.stop()) stop_ = true;
      for (const TrialNews& each : news) job_.news.tell(each);
      job_.news.listen();
    }
  } catch (const std::exception&) {
    broken_ = true;
    give_up();
  }
  lock.lock();
  for (Request* const request : requests) request->done = true;
  lock.unlock();
  answered_.notify_all();
}

void LaneDesk::throw_what_went_wrong() const {
  const std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(error_);
}

}  // namespace winnow
