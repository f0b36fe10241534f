#include "experiments/cli/event_lines.h"

#include <ostream>
#include <utility>

#include "distributed/quiet_thread.h"
#include "experiments/cli/json_output.h"

namespace winnow {

EventLines::EventLines(std::ostream& out, std::size_t most)
    : out_(out), most_(most), thread_(start_quiet_thread([this] { write(); })) {}

EventLines::~EventLines() {
  {
    const std::lock_guard lock(guard_);
    over_ = true;
  }
  news_.notify_one();
  thread_.join();
}

void EventLines::put(const nlohmann::ordered_json& record) {
  {
    const std::lock_guard lock(guard_);
    const bool is_last = record.at("kind") == "summary";
    if (waiting_.size() >= most_ && !is_last) {
      ++left_out_;
      return;
    }
    if (left_out_ > 0) waiting_.push_back({{"kind", "left out"}, {"lines", std::exchange(left_out_, 0)}});
    waiting_.push_back(record);
  }
  news_.notify_one();
}

void EventLines::write() {
  std::unique_lock lock(guard_);
  for (;;) {
    news_.wait(lock, [this] { return over_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    nlohmann::ordered_json line = {{"schema", "winnow-run"}, {"schema_version", "1.0"}};
    line.update(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    write_json_line(out_, line);
    out_ << std::flush;
    lock.lock();
  }
}

}  // namespace winnow
