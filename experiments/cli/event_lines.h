// The lines of `run --json`. Who reads them may pause, and nobody is to be kept from training by that: a thread of its own
// writes, and what nobody reads is kept up to a limit and left out beyond it, which a line then says. Used by one thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <iosfwd>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

namespace winnow {

class EventLines {
 public:
  explicit EventLines(std::ostream& out, std::size_t most = 100'000);
  ~EventLines();  // when all is written
  EventLines(const EventLines&) = delete;
  EventLines& operator=(const EventLines&) = delete;
  void put(const nlohmann::ordered_json& record);

 private:
  void write();

  std::ostream& out_;
  std::size_t most_;
  std::mutex guard_;
  std::condition_variable news_;
  std::deque<nlohmann::ordered_json> waiting_;
  std::int64_t left_out_ = 0;
  bool over_ = false;
  std::thread thread_;  // last: it uses all of these
};

}  // namespace winnow
