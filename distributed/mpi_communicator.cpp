#define OMPI_SKIP_MPICXX 1  // the C++ bindings of Open MPI do not compile without warnings
#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "distributed/communicator.h"
#include "distributed/launch.h"

namespace winnow {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // bytes

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail(ErrorKind::Unavailable, "{} failed: {}", call, std::string(text, static_cast<std::size_t>(length)));
}

// MPI in this process, from the first make_world() to exit. Groups and windows are given back at its end, in the order in
// which all ranks made them: freeing one is a collective call, which no destructor may make while its stack unwinds.
class Session {
 public:
  static Session& get() {
    static Session& session = *new Session;  // outlives every destructor that runs at exit
    return session;
  }
  void keep(std::function<void()> give_back) { held_.push_back(std::move(give_back)); }

 private:
  Session() {
    int initialised = 0;
    MPI_Initialized(&initialised);
    if (initialised) return;
    int provided = 0;
    if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
      fail(ErrorKind::Unavailable, "MPI could not be started");
    }
    std::atexit([] { get().end(); });
  }
  void end() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized) return;
    for (const auto& give_back : held_) give_back();
    MPI_Finalize();
  }

  std::vector<std::function<void()>> held_;
};

class MpiWork final : public Work {
 public:
  explicit MpiWork(MPI_Request request) : request_(request) {}
  bool poll() override {
    int done = 0;
    check(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  }
  void wait() override { check(MPI_Wait(&request_, MPI_STATUS_IGNORE), "MPI_Wait"); }

 private:
  MPI_Request request_;
};

// The counter lives in rank 0's window; a draw is one atomic fetch-and-add, so nobody has to serve it.
class MpiTickets final : public Tickets {
 public:
  MpiTickets(MPI_Comm comm, int rank, std::size_t counters) {
    std::int64_t* next = nullptr;
    const std::size_t bytes = rank == 0 ? counters * sizeof(std::int64_t) : 0;
    check(MPI_Win_allocate(static_cast<MPI_Aint>(bytes), sizeof(std::int64_t), MPI_INFO_NULL, comm, &next, &window_),
          "MPI_Win_allocate");
    if (rank == 0) {
      check(MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, window_), "MPI_Win_lock");
      std::fill_n(next, counters, 0);
      check(MPI_Win_unlock(0, window_), "MPI_Win_unlock");
    }
    check(MPI_Barrier(comm), "MPI_Barrier");
    check(MPI_Win_lock_all(0, window_), "MPI_Win_lock_all");
    Session::get().keep([window = window_]() mutable {
      MPI_Win_unlock_all(window);
      MPI_Win_free(&window);
    });
  }
  std::int64_t next(std::size_t counter) override {
    const std::int64_t one = 1;
    std::int64_t ticket = 0;
    check(MPI_Fetch_and_op(&one, &ticket, MPI_INT64_T, 0, static_cast<MPI_Aint>(counter), MPI_SUM, window_),
          "MPI_Fetch_and_op");
    check(MPI_Win_flush(0, window_), "MPI_Win_flush");
    return ticket;
  }

 private:
  MPI_Win window_ = MPI_WIN_NULL;
};

// Every rank keeps one receive open, whoever the message comes from: testing it needs nobody's help, and a message
// without content leaves at once, whatever the receiver does.
class MpiNotice final : public Notice {
 public:
  explicit MpiNotice(MPI_Comm comm) {
    check(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    check(MPI_Irecv(nullptr, 0, MPI_BYTE, MPI_ANY_SOURCE, kTag, comm_, &receive_), "MPI_Irecv");
    Session::get().keep([own = comm_, receive = receive_]() mutable { close(own, receive); });
  }
  void give() override {
    if (heard()) return;
    given_ = true;
    int rank = 0, size = 0;
    MPI_Comm_rank(comm_, &rank);
    MPI_Comm_size(comm_, &size);
    for (int other = 0; other < size; ++other) {
      if (other == rank) continue;
      MPI_Request sending = MPI_REQUEST_NULL;
      check(MPI_Isend(nullptr, 0, MPI_BYTE, other, kTag, comm_, &sending), "MPI_Isend");
      check(MPI_Request_free(&sending), "MPI_Request_free");
    }
  }
  bool heard() override {
    if (given_) return true;
    int done = 0;
    // The request is not consumed, so that it is still there to be given back at the end.
    check(MPI_Request_get_status(receive_, &done, MPI_STATUS_IGNORE), "MPI_Request_get_status");
    given_ = done != 0;
    return given_;
  }

 private:
  static constexpr int kTag = 1;
  // Two ranks may have given the word at the same time; what nobody received is taken in here.
  static void close(MPI_Comm comm, MPI_Request receive) {
    MPI_Cancel(&receive);
    MPI_Wait(&receive, MPI_STATUS_IGNORE);
    MPI_Barrier(comm);
    for (int waiting = 1; waiting != 0;) {
      MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm, &waiting, MPI_STATUS_IGNORE);
      if (waiting != 0) MPI_Recv(nullptr, 0, MPI_BYTE, MPI_ANY_SOURCE, kTag, comm, MPI_STATUS_IGNORE);
    }
    MPI_Comm_free(&comm);
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  MPI_Request receive_ = MPI_REQUEST_NULL;
  bool given_ = false;
};

class MpiMail final : public Mail {
 public:
  explicit MpiMail(MPI_Comm comm) {
    check(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    Session::get().keep([own = comm_]() mutable { MPI_Comm_free(&own); });
  }
  void send(std::string text) override {
    // Texts that are on their way belong to the process, as all that MPI may still read.
    static auto& under_way = *new std::list<Letter>;
    std::erase_if(under_way, [](Letter& letter) {
      int done = 0;
      return MPI_Test(&letter.request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done != 0;
    });
    Letter& letter = under_way.emplace_back(Letter{std::move(text)});
    check(
        MPI_Isend(letter.text.data(), static_cast<int>(letter.text.size()), MPI_CHAR, 0, kTag, comm_, &letter.request),
        "MPI_Isend");
    ++count_;
  }
  std::optional<std::string> receive() override {
    int there = 0, size = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &there, &status), "MPI_Iprobe");
    if (there == 0) return std::nullopt;
    check(MPI_Get_count(&status, MPI_CHAR, &size), "MPI_Get_count");
    std::string text(static_cast<std::size_t>(size), ' ');
    check(MPI_Recv(text.data(), size, MPI_CHAR, status.MPI_SOURCE, kTag, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
    ++count_;
    return text;
  }
  std::int64_t count() const override { return count_; }

 private:
  static constexpr int kTag = 2;
  struct Letter {
    std::string text;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  MPI_Comm comm_ = MPI_COMM_NULL;
  std::int64_t count_ = 0;
};

class MpiAttendance final : public Attendance {
 public:
  explicit MpiAttendance(MPI_Comm comm) {
    check(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    MPI_Comm_rank(comm_, &rank_);
    int size = 0;
    MPI_Comm_size(comm_, &size);
    furthest_.assign(static_cast<std::size_t>(size), -1);
    Session::get().keep([own = comm_] { close(own); });
  }
  void say(std::int64_t place) override {
    // What is on its way belongs to the process, as all that MPI may still read. Few are said: nobody waits long twice.
    static auto& said = *new std::list<std::int64_t>;
    furthest_[static_cast<std::size_t>(rank_)] = place;
    const std::int64_t& text = said.emplace_back(place);
    for (int other = 0; other < static_cast<int>(furthest_.size()); ++other) {
      if (other == rank_) continue;
      MPI_Request sending = MPI_REQUEST_NULL;
      check(MPI_Isend(&text, 1, MPI_INT64_T, other, kTag, comm_, &sending), "MPI_Isend");
      check(MPI_Request_free(&sending), "MPI_Request_free");
    }
  }
  std::int64_t heard(int rank) override {
    int waiting = 0;
    MPI_Status status;
    while (check(MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &waiting, &status), "MPI_Iprobe"), waiting != 0) {
      std::int64_t& furthest = furthest_[static_cast<std::size_t>(status.MPI_SOURCE)];
      check(MPI_Recv(&furthest, 1, MPI_INT64_T, status.MPI_SOURCE, kTag, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
    }
    return furthest_.at(static_cast<std::size_t>(rank));
  }

 private:
  static constexpr int kTag = 3;
  // Takes in what nobody asked for.
  static void close(MPI_Comm comm) {
    MPI_Barrier(comm);
    std::int64_t place = 0;
    for (int waiting = 1; waiting != 0;) {
      MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm, &waiting, MPI_STATUS_IGNORE);
      if (waiting != 0) MPI_Recv(&place, 1, MPI_INT64_T, MPI_ANY_SOURCE, kTag, comm, MPI_STATUS_IGNORE);
    }
    MPI_Comm_free(&comm);
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  std::vector<std::int64_t> furthest_;  // by rank
};

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(MPI_Comm comm) : comm_(comm) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  }
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }
  std::unique_ptr<Communicator> split(int color, int key) override {
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split(comm_, color, key, &part), "MPI_Comm_split");
    Session::get().keep([part]() mutable { MPI_Comm_free(&part); });
    return std::make_unique<MpiCommunicator>(part);
  }
  std::unique_ptr<Tickets> tickets(std::size_t counters) override {
    return std::make_unique<MpiTickets>(comm_, rank_, counters);
  }
  std::unique_ptr<Notice> notice() override { return std::make_unique<MpiNotice>(comm_); }
  std::unique_ptr<Mail> mail() override { return std::make_unique<MpiMail>(comm_); }
  std::unique_ptr<Attendance> attendance() override { return std::make_unique<MpiAttendance>(comm_); }
  std::unique_ptr<Communicator> on_node() override {
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part), "MPI_Comm_split_type");
    Session::get().keep([part]() mutable { MPI_Comm_free(&part); });
    return std::make_unique<MpiCommunicator>(part);
  }
  std::unique_ptr<Work> all_reduce_sum(std::span<float> data) override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()), MPI_FLOAT, MPI_SUM, comm_, &request),
          "MPI_Iallreduce");
    return std::make_unique<MpiWork>(request);
  }
  void all_reduce_sum(std::span<double> data) override {
    check(MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()), MPI_DOUBLE, MPI_SUM, comm_),
          "MPI_Allreduce");
  }
  void all_reduce_max(std::span<std::uint64_t> data) override {
    check(MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()), MPI_UINT64_T, MPI_MAX, comm_),
          "MPI_Allreduce");
  }
  std::unique_ptr<Work> start_all_reduce_max(std::span<std::uint64_t> data) override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()), MPI_UINT64_T, MPI_MAX, comm_,
                         &request),
          "MPI_Iallreduce");
    return std::make_unique<MpiWork>(request);
  }
  void broadcast(std::span<std::byte> data, int root) override {
    do {  // MPI counts in int
      const auto part = data.first(std::min(data.size(), kMostAtOnce));
      check(MPI_Bcast(part.data(), static_cast<int>(part.size()), MPI_BYTE, root, comm_), "MPI_Bcast");
      data = data.subspan(part.size());
    } while (!data.empty());
  }
  [[noreturn]] void abort(int code) noexcept override {
    MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);
  }

 private:
  MPI_Comm comm_;
  int rank_ = 0, size_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> make_world() {
  const Launch launch = read_launch();
  std::unique_ptr<Communicator> world = make_self();
  if (launch.needs_mpi()) {
    Session::get();
    world = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD);
  }
  if (launch.processes > 1 && world->size() == 1) {
    fail(ErrorKind::Site,
         "{} processes were started together, but MPI does not connect them, and each would run the whole sweep: start "
         "them with the mpirun of the MPI that winnow --version names, or with srun --mpi=pmix",
         launch.processes);
  }
  return world;
}

}  // namespace winnow
