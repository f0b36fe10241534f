// Two batch buffers: one the caller looks at, one being filled. With a thread of its own the next
// batch is filled while the caller computes; without one it is filled when asked for, as is a batch that the
// thread has not begun by then: on a busy machine nobody waits for a thread that waits for a core. The batches
// are the same. All memory is taken at construction. One caller at a time.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "core/batch.h"
#include "core/tensor.h"

namespace winnow {

class BatchQueue {
 public:
  // Writes batch `index` into the images and labels given. Called by one thread at a time.
  using Fill = std::function<void(std::int64_t index, const Batch& into)>;
  // Batches are [0, limit); `rows` of them begin at `first_row` of the whole batch. `ahead`: with a thread.
  BatchQueue(const DataShape& shape, std::int64_t rows, std::int64_t first_row, std::int64_t limit, Fill fill,
             bool ahead);
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // Valid until the next call. What `fill` threw for this batch is thrown here, whichever thread it was on.
  const Batch& get(std::int64_t index);

 private:
  static constexpr std::int64_t kNone = -1;
  struct Slot {
    Tensor images, labels;
    Batch batch;
    std::int64_t index = kNone;
  };
  void work();

  Slot slots_[2];
  int held_ = 0;  // the caller's slot; the other is filled
  std::int64_t limit_;
  Fill fill_;
  // Below: shared with the thread, under mutex_. While filling_ is set the thread owns slot 1 - held_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t wanted_ = kNone;  // asked for and not begun
  bool filling_ = false;
  std::exception_ptr failure_;  // of the thread's last batch
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace winnow
