#include "experiments/run/shared_board.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <type_traits>

namespace winnow {
namespace {

class SharedTickets final : public Tickets {
 public:
  explicit SharedTickets(std::span<std::atomic<std::int64_t>> counters) : counters_(counters) {}
  std::int64_t next(std::size_t counter) override { return counters_[counter].fetch_add(1); }

 private:
  std::span<std::atomic<std::int64_t>> counters_;
};

class SharedNotice final : public Notice {
 public:
  explicit SharedNotice(std::atomic<bool>& given) : given_(given) {}
  void give() override { given_.store(true); }
  bool heard() override { return given_.load(); }

 private:
  std::atomic<bool>& given_;
};

}  // namespace

SharedBoard::SharedBoard(int workers, int at_once, std::size_t trials, std::size_t counters)
    : at_once_(static_cast<std::size_t>(at_once)) {
  // Between processes only what the processor itself makes atomic works.
  static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);
  static_assert(std::is_trivially_destructible_v<Common> && std::is_trivially_destructible_v<Entry>);
  static_assert(sizeof(Common) % alignof(Entry) == 0 && sizeof(Entry) % alignof(std::atomic<std::int64_t>) == 0);
  const std::size_t count = static_cast<std::size_t>(workers) * at_once_;
  bytes_ = sizeof(Common) + count * sizeof(Entry) + counters * sizeof(std::atomic<std::int64_t>) +
           trials * sizeof(Postponed);
  memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED) {
    fail(ErrorKind::Unavailable, "cannot share memory with workers: {}", std::generic_category().message(errno));
  }
  auto* at = static_cast<std::byte*>(memory_);
  common_ = new (at) Common;
  auto* entries = reinterpret_cast<Entry*>(at + sizeof(Common));
  std::uninitialized_default_construct_n(entries, count);
  entries_ = {entries, count};
  auto* first = reinterpret_cast<std::atomic<std::int64_t>*>(entries + count);
  std::uninitialized_value_construct_n(first, counters);
  counters_ = {first, counters};
  auto* postponed = reinterpret_cast<Postponed*>(first + counters);
  std::uninitialized_fill_n(postponed, trials, Postponed::Untouched);
  postponed_ = {postponed, trials};
}

SharedBoard::~SharedBoard() { ::munmap(memory_, bytes_); }

std::unique_ptr<Tickets> SharedBoard::tickets() { return std::make_unique<SharedTickets>(counters_); }

std::unique_ptr<Notice> SharedBoard::notice() { return std::make_unique<SharedNotice>(common_->stop); }

void SharedBoard::report(ErrorKind kind, const std::string& text) noexcept {
  if (common_->claimed.exchange(true)) return;
  common_->kind = kind;
  std::copy_n(text.data(), std::min(text.size(), kLongestText), common_->text);
  common_->said.store(true);
}

std::optional<Error> SharedBoard::reported() const {
  if (!common_->said.load()) return std::nullopt;
  return Error(common_->kind, common_->text);
}

}  // namespace winnow
