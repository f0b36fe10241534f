// For tests: ranks as threads of one process. Like MPI's, their collectives wait for all of them; when one rank's work throws,
// those of the others throw as well instead of waiting for ever.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace winnow::test {

// What the ranks of one job share.
struct ThreadBoard;

class ThreadRank final : public Communicator {
 public:
  ThreadRank(std::shared_ptr<ThreadBoard> board, int rank) : board_(std::move(board)), rank_(rank) {}
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override;
  std::unique_ptr<Communicator> split(int color, int key) override;
  std::unique_ptr<Tickets> tickets(std::size_t counters) override;
  std::unique_ptr<Notice> notice() override;
  std::unique_ptr<Mail> mail() override;
  std::unique_ptr<Attendance> attendance() override;
  std::unique_ptr<Communicator> on_node() override;
  std::unique_ptr<Work> all_reduce_sum(std::span<float> data) override;
  void all_reduce_sum(std::span<double> data) override;
  void all_reduce_max(std::span<std::uint64_t> data) override;
  std::unique_ptr<Work> start_all_reduce_max(std::span<std::uint64_t> data) override;
  void broadcast(std::span<std::byte> data, int root) override;
  [[noreturn]] void abort(int code) noexcept override;

  std::int64_t collectives() const { return collectives_; }  // of this rank so far
  std::int64_t times_heard() const;                          // how often it asked what ranks said

 private:
  std::shared_ptr<ThreadBoard> board_;
  int rank_;
  std::int64_t collectives_ = 0;
};

// Runs work(rank) on as many threads. What each of them threw, by rank; empty: nothing.
std::vector<std::string> on_ranks(int size, const std::function<void(ThreadRank&)>& work);
inline std::vector<std::string> no_errors(int size) { return std::vector<std::string>(static_cast<std::size_t>(size)); }

}  // namespace winnow::test
