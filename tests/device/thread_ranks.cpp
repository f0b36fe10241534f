#include "tests/device/thread_ranks.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace winnow::test {

struct ThreadBoard {
  explicit ThreadBoard(int ranks)
      : size(ranks), data(static_cast<std::size_t>(ranks)), said(data.size(), -1), asked(data.size()) {}

  // All ranks bring their bytes; `combine` makes the result of all of them, once, before any rank goes on.
  void meet(int rank, std::span<std::byte> own,
            const std::function<void(std::span<const std::span<std::byte>>)>& combine) {
    std::unique_lock lock(mutex);
    if (broken) throw std::runtime_error("another rank failed");
    data[static_cast<std::size_t>(rank)] = own;
    const std::int64_t round = rounds;
    if (++here == size) {
      combine(data);
      here = 0;
      ++rounds;
      changed.notify_all();
    } else {
      changed.wait(lock, [&] { return broken || rounds != round; });
      if (rounds == round) throw std::runtime_error("another rank failed");
    }
  }
  void fail() {
    const std::lock_guard lock(mutex);
    broken = true;
    changed.notify_all();
  }

  const int size;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::span<std::byte>> data;  // of the present round, by rank
  std::vector<std::int64_t> said, asked;   // by rank, for Attendance
  int here = 0;
  std::int64_t rounds = 0;
  bool broken = false;
};

namespace {

class ThreadAttendance final : public Attendance {
 public:
  ThreadAttendance(std::shared_ptr<ThreadBoard> board, int rank) : board_(std::move(board)), rank_(rank) {}
  void say(std::int64_t place) override {
    const std::lock_guard lock(board_->mutex);
    board_->said[static_cast<std::size_t>(rank_)] = place;
  }
  std::int64_t heard(int rank) override {
    const std::lock_guard lock(board_->mutex);
    ++board_->asked[static_cast<std::size_t>(rank_)];
    return board_->said.at(static_cast<std::size_t>(rank));
  }

 private:
  std::shared_ptr<ThreadBoard> board_;
  int rank_;
};

// `fold(a, b)` over the ranks' numbers, in the order of ranks.
template <class T, class Fold>
void reduce(ThreadBoard& board, int rank, std::span<T> own, const Fold& fold) {
  board.meet(rank, std::as_writable_bytes(own), [&](std::span<const std::span<std::byte>> all) {
    const auto of = [&](std::size_t r) { return reinterpret_cast<T*>(all[r].data()); };
    for (std::size_t i = 0; i < own.size(); ++i) {
      T sum = of(0)[i];
      for (std::size_t r = 1; r < all.size(); ++r) sum = fold(sum, of(r)[i]);
      for (std::size_t r = 0; r < all.size(); ++r) of(r)[i] = sum;
    }
  });
}

[[noreturn]] void unused(const char* what) { throw std::logic_error(std::string("ranks of tests have no ") + what); }

}  // namespace

int ThreadRank::size() const noexcept { return board_->size; }
std::unique_ptr<Communicator> ThreadRank::split(int, int) { unused("split"); }
std::unique_ptr<Tickets> ThreadRank::tickets(std::size_t) { unused("tickets"); }
std::unique_ptr<Notice> ThreadRank::notice() { unused("notice"); }
std::unique_ptr<Mail> ThreadRank::mail() { unused("mail"); }
std::unique_ptr<Attendance> ThreadRank::attendance() { return std::make_unique<ThreadAttendance>(board_, rank_); }
std::int64_t ThreadRank::times_heard() const {
  const std::lock_guard lock(board_->mutex);
  return board_->asked[static_cast<std::size_t>(rank_)];
}
std::unique_ptr<Communicator> ThreadRank::on_node() { return std::make_unique<ThreadRank>(board_, rank_); }

std::unique_ptr<Work> ThreadRank::all_reduce_sum(std::span<float> data) {
  ++collectives_;
  reduce(*board_, rank_, data, std::plus<>());
  return make_self()->all_reduce_sum(data);  // done
}
void ThreadRank::all_reduce_sum(std::span<double> data) {
  ++collectives_;
  reduce(*board_, rank_, data, std::plus<>());
}
void ThreadRank::all_reduce_max(std::span<std::uint64_t> data) {
  ++collectives_;
  reduce(*board_, rank_, data, [](std::uint64_t a, std::uint64_t b) { return std::max(a, b); });
}
std::unique_ptr<Work> ThreadRank::start_all_reduce_max(std::span<std::uint64_t> data) {
  all_reduce_max(data);
  return make_self()->start_all_reduce_max(data);
}
void ThreadRank::broadcast(std::span<std::byte> data, int root) {
  ++collectives_;
  board_->meet(rank_, data, [root](std::span<const std::span<std::byte>> all) {
    const std::span<std::byte> from = all[static_cast<std::size_t>(root)];
    for (const std::span<std::byte> to : all) {
      if (to.data() != from.data()) std::ranges::copy(from, to.begin());
    }
  });
}
void ThreadRank::abort(int code) noexcept { std::_Exit(code); }

std::vector<std::string> on_ranks(int size, const std::function<void(ThreadRank&)>& work) {
  const auto board = std::make_shared<ThreadBoard>(size);
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ThreadRank own(board, rank);
        work(own);
      } catch (const std::exception& error) {
        errors[static_cast<std::size_t>(rank)] = error.what();
        board->fail();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace winnow::test
