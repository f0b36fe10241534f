#include "distributed/mpi_tickets.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "distributed/quiet_thread.h"
#include "distributed/ranks_lost.h"
#include "kernels/waited.h"

namespace winnow {
namespace {

constexpr int kAsk = 4, kAnswer = 5;  // tags

// The counters lie in rank 0's part of a window that all map; a draw is one atomic fetch-and-add.
class NodeTickets final : public Tickets {
 public:
  NodeTickets(MPI_Comm comm, int rank, std::size_t counters) {
    std::int64_t* next = nullptr;
    const std::size_t bytes = rank == 0 ? counters * sizeof(std::int64_t) : 0;
    check_mpi(
        MPI_Win_allocate(static_cast<MPI_Aint>(bytes), sizeof(std::int64_t), MPI_INFO_NULL, comm, &next, &window_),
        "MPI_Win_allocate");
    if (rank == 0) {
      check_mpi(MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, window_), "MPI_Win_lock");
      std::fill_n(next, counters, 0);
      check_mpi(MPI_Win_unlock(0, window_), "MPI_Win_unlock");
    }
    check_mpi(MPI_Barrier(comm), "MPI_Barrier");
    check_mpi(MPI_Win_lock_all(0, window_), "MPI_Win_lock_all");
    MpiSession::get().keep([window = window_]() mutable {
      MPI_Win_unlock_all(window);
      MPI_Win_free(&window);
    });
  }
  std::int64_t next(std::size_t counter) override {
    const std::int64_t one = 1;
    std::int64_t ticket = 0;
    check_mpi(MPI_Fetch_and_op(&one, &ticket, MPI_INT64_T, 0, static_cast<MPI_Aint>(counter), MPI_SUM, window_),
              "MPI_Fetch_and_op");
    check_mpi(MPI_Win_flush(0, window_), "MPI_Win_flush");
    return ticket;
  }

 private:
  MPI_Win window_ = MPI_WIN_NULL;
};

// Rank 0's counters, and the thread that answers the other ranks. Between questions it sleeps, longer the longer there are none:
// what it takes from rank 0's core is a thousandth, and a draw waits two milliseconds at most. The session owns it.
class TicketDesk {
 public:
  TicketDesk(MPI_Comm comm, std::size_t counters)
      : comm_(comm), counters_(counters), thread_(start_quiet_thread([this] { serve(); })) {}
  std::int64_t draw(std::size_t counter) { return counters_[counter].fetch_add(1); }
  int error() const { return error_.load(); }
  void close() { closed_ = true; }
  void join() { thread_.join(); }

 private:
  static constexpr std::chrono::microseconds kShortest{50}, kLongest{2000};

  void serve() {
    auto pause = kShortest;
    while (!closed_ && error_ == MPI_SUCCESS) {
      int there = 0;
      if (const int code = answer_one(there); code != MPI_SUCCESS) error_ = code;
      if (there != 0) {
        pause = kShortest;
        continue;
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kLongest);
    }
  }
  int answer_one(int& there) {
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    std::uint64_t counter = 0;
    int code = MPI_Improbe(MPI_ANY_SOURCE, kAsk, comm_, &there, &message, &status);
    if (code != MPI_SUCCESS || there == 0) return code;
    code = MPI_Mrecv(&counter, 1, MPI_UINT64_T, &message, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS) return code;
    const std::int64_t ticket = draw(counter);
    return MPI_Send(&ticket, 1, MPI_INT64_T, status.MPI_SOURCE, kAnswer, comm_);
  }

  MPI_Comm comm_;
  std::vector<std::atomic<std::int64_t>> counters_;
  std::atomic<bool> closed_{false};
  std::atomic<int> error_{MPI_SUCCESS};
  std::thread thread_;
};

class DeskTickets final : public Tickets {
 public:
  DeskTickets(MPI_Comm comm, int rank, std::size_t counters) {
    check_mpi(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    if (rank == 0) desk_ = std::make_shared<TicketDesk>(comm_, counters);
    MpiSession::get().keep([own = comm_, desk = desk_]() mutable {
      if (desk != nullptr) desk->join();
      MPI_Comm_free(&own);
    });
  }
  ~DeskTickets() override {
    if (desk_ != nullptr) desk_->close();
  }
  DeskTickets(const DeskTickets&) = delete;
  DeskTickets& operator=(const DeskTickets&) = delete;
  std::int64_t next(std::size_t counter) override {
    if (desk_ != nullptr) {
      check_mpi(desk_->error(), "answering other ranks");
      return desk_->draw(counter);
    }
    const std::uint64_t which = counter;
    std::int64_t ticket = 0;
    MPI_Request answer = MPI_REQUEST_NULL;
    check_mpi(MPI_Irecv(&ticket, 1, MPI_INT64_T, 0, kAnswer, comm_, &answer), "MPI_Irecv");
    check_mpi(MPI_Send(&which, 1, MPI_UINT64_T, 0, kAsk, comm_), "MPI_Send");
    wait(answer);
    return ticket;
  }

 private:
  static void wait(MPI_Request& answer) {
    const double limit = rank_time_limit();
    for (Waited clock;;) {
      int done = 0;
      check_mpi(MPI_Test(&answer, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done != 0) return;
      if (clock.look() > limit) throw RanksLost(fmt::format("rank 0 gave no trial in {} s", limit));
      std::this_thread::yield();
    }
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  std::shared_ptr<TicketDesk> desk_;  // of rank 0
};

bool on_one_machine(MPI_Comm comm, int rank, int size) {
  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
  int own = 0, least = 0;
  MPI_Comm_size(node, &own);
  check_mpi(MPI_Comm_free(&node), "MPI_Comm_free");
  check_mpi(MPI_Allreduce(&own, &least, 1, MPI_INT, MPI_MIN, comm), "MPI_Allreduce");
  return least == size;
}

}  // namespace

std::unique_ptr<Tickets> make_mpi_tickets(MPI_Comm comm, std::size_t counters) {
  int rank = 0, size = 1, threads = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  if (on_one_machine(comm, rank, size)) return std::make_unique<NodeTickets>(comm, rank, counters);
  MPI_Query_thread(&threads);
  if (threads < MPI_THREAD_MULTIPLE) {
    fail(ErrorKind::Site,
         "this MPI does not let two threads of a process call it (MPI_THREAD_MULTIPLE), which ranks on several "
         "machines need: "
         "start one job for each machine, each with winnow run --shard I/N");
  }
  return std::make_unique<DeskTickets>(comm, rank, counters);
}

}  // namespace winnow
