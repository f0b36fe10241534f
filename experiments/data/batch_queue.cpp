#include "experiments/data/batch_queue.h"

#include <utility>

#include "core/error.h"

namespace winnow {

BatchQueue::BatchQueue(const DataShape& shape, std::int64_t rows, std::int64_t first_row, std::int64_t limit, Fill fill,
                       bool ahead)
    : limit_(limit), fill_(std::move(fill)) {
  for (Slot& slot : slots_) {
    slot.images = Tensor(DType::F32, Shape{rows, shape.height, shape.width, shape.channels});
    slot.labels = Tensor(DType::I32, Shape{rows});
    slot.batch = {slot.images.view(), slot.labels.view(), first_row};
  }
  if (ahead) thread_ = std::thread([this] { work(); });
}

BatchQueue::~BatchQueue() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

const Batch& BatchQueue::get(std::int64_t index) {
  if (index < 0 || index >= limit_) {
    fail(ErrorKind::Internal, "batch {} asked for; there are {}", index, limit_);
  }
  if (slots_[held_].index == index) return slots_[held_].batch;
  if (!thread_.joinable()) {
    slots_[held_].index = kNone;  // whatever it holds if this fails
    fill_(index, slots_[held_].batch);
    slots_[held_].index = index;
    return slots_[held_].batch;
  }
  std::unique_lock lock(mutex_);
  wanted_ = kNone;  // what was not begun is filled here, if it is still wanted
  changed_.wait(lock, [this] { return !filling_; });
  Slot& other = slots_[1 - held_];
  if (other.index != index) {
    failure_ = nullptr;
    lock.unlock();
    other.index = kNone;
    fill_(index, other.batch);
    other.index = index;
    lock.lock();
  } else if (failure_) {
    other.index = kNone;
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  held_ = 1 - held_;
  if (index + 1 < limit_) {
    wanted_ = index + 1;
    changed_.notify_all();
  }
  return slots_[held_].batch;
}

void BatchQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || wanted_ != kNone; });
    if (stop_) return;
    const std::int64_t index = std::exchange(wanted_, kNone);
    Slot& slot = slots_[1 - held_];
    slot.index = index;
    filling_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      fill_(index, slot.batch);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    filling_ = false;
    changed_.notify_all();
  }
}

}  // namespace winnow
