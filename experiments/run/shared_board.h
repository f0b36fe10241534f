// What a run and the workers it forks share: memory in which tickets are drawn, the word to stop is given, and each worker
// notes what it has in hand and how its trials ended. Made before the fork. Tickets, the word and the error may be used by
// all at once; a worker has an entry for each trial that it trains at once, which one thread of it writes, and which is read
// when it has ended.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "distributed/communicator.h"
#include "experiments/run/postponed.h"
#include "experiments/run/sweep_state.h"

namespace winnow {

class SharedBoard {
 public:
  // With so many counters in tickets(). Every trial is untouched.
  SharedBoard(int workers, int at_once, std::size_t trials, std::size_t counters);
  ~SharedBoard();
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;

  std::unique_ptr<Tickets> tickets();
  std::unique_ptr<Notice> notice();

  struct Entry {
    std::atomic<std::int64_t> in_hand{-1};  // position of the trial that is being trained
    Tally tally;
    bool through = false;            // it saw the end of the list, or a word to stop
    std::array<char, 400> no_gpu{};  // why its GPU did not start; empty: it did, or it has none
    void note_no_gpu(std::string_view why) noexcept { no_gpu.back() = 0, why.copy(no_gpu.data(), no_gpu.size() - 1); }
  };
  std::span<Entry> entries() { return entries_; }
  std::span<Entry> entries(int worker) {
    return entries_.subspan(static_cast<std::size_t>(worker) * at_once_, at_once_);
  }
  std::span<Postponed> postponed() { return postponed_; }
  std::atomic<bool>& any_died() { return common_->died; }  // a worker, so that what it had in hand comes to nothing

  // What keeps the run from going on, as the first worker that met it says.
  void report(ErrorKind kind, const std::string& text) noexcept;
  std::optional<Error> reported() const;

 private:
  static constexpr std::size_t kLongestText = 4000;
  struct alignas(std::uint64_t) Common {
    std::atomic<bool> stop{false}, died{false};
    std::atomic<bool> claimed{false}, said{false};  // of the error: somebody writes it; it is written
    ErrorKind kind = ErrorKind::Internal;
    char text[kLongestText + 1] = {};
  };
  std::size_t at_once_, bytes_;
  void* memory_;
  Common* common_;
  std::span<Entry> entries_;
  std::span<std::atomic<std::int64_t>> counters_;
  std::span<Postponed> postponed_;
};

}  // namespace winnow
