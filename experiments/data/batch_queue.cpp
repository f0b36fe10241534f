#include "experiments/data/batch_queue.h"

#include <omp.h>
#include <sched.h>

#include "core/error.h"

namespace winnow {
namespace {

bool core_to_spare() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > omp_get_max_threads();
}

}  // namespace

BatchQueue::BatchQueue(const DataShape& shape, std::int64_t rows, std::int64_t first_row, std::int64_t limit, Fill fill,
                       Prefetch prefetch)
    : limit_(limit), fill_(std::move(fill)) {
  for (Slot& slot : slots_) {
    slot.images = Tensor(DType::F32, Shape{rows, shape.height, shape.width, shape.channels});
    slot.labels = Tensor(DType::I32, Shape{rows});
    slot.batch = {slot.images.view(), slot.labels.view(), first_row};
  }
  if (prefetch == Prefetch::Ahead || (prefetch == Prefetch::Spare && core_to_spare())) {
    thread_ = std::thread([this] { work(); });
  }
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
    fill_(index, slots_[held_].batch);
    slots_[held_].index = index;
    return slots_[held_].batch;
  }
  std::unique_lock lock(mutex_);
  const auto idle = [this] { return wanted_ == kNone; };
  changed_.wait(lock, idle);
  if (slots_[1 - held_].index != index) {
    wanted_ = index;
    changed_.notify_all();
    changed_.wait(lock, idle);
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
    const std::int64_t index = wanted_;
    Slot& slot = slots_[1 - held_];
    lock.unlock();
    fill_(index, slot.batch);
    lock.lock();
    slot.index = index;
    wanted_ = kNone;
    changed_.notify_all();
  }
}

}  // namespace winnow
