#include <algorithm>
#include <cstdlib>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "distributed/communicator.h"
#include "distributed/launch.h"
#include "distributed/mpi_attendance.h"
#include "distributed/mpi_patience.h"
#include "distributed/mpi_session.h"
#include "distributed/mpi_tickets.h"

namespace winnow {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // bytes

class MpiWork final : public Work {
 public:
  MpiWork(MPI_Request request, std::shared_ptr<MpiPatience> patience, const MpiPatience::Operation& operation)
      : request_(request), patience_(std::move(patience)), operation_(operation) {}
  bool poll() override { return patience_->poll(request_, operation_); }
  void wait() override { patience_->finish(request_, operation_); }

 private:
  MPI_Request request_;
  std::shared_ptr<MpiPatience> patience_;
  MpiPatience::Operation operation_;
};

// Every rank keeps one receive open, whoever the message comes from: testing it needs nobody's help, and a message
// without content leaves at once, whatever the receiver does.
class MpiNotice final : public Notice {
 public:
  explicit MpiNotice(MPI_Comm comm) {
    check_mpi(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    check_mpi(MPI_Irecv(nullptr, 0, MPI_BYTE, MPI_ANY_SOURCE, kTag, comm_, &receive_), "MPI_Irecv");
    MpiSession::get().keep([own = comm_, receive = receive_]() mutable { close(own, receive); });
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
      check_mpi(MPI_Isend(nullptr, 0, MPI_BYTE, other, kTag, comm_, &sending), "MPI_Isend");
      check_mpi(MPI_Request_free(&sending), "MPI_Request_free");
    }
  }
  bool heard() override {
    if (given_) return true;
    int done = 0;
    // The request is not consumed, so that it is still there to be given back at the end.
    check_mpi(MPI_Request_get_status(receive_, &done, MPI_STATUS_IGNORE), "MPI_Request_get_status");
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
    check_mpi(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    MpiSession::get().keep([own = comm_]() mutable { MPI_Comm_free(&own); });
  }
  void send(std::string text) override {
    // Texts that are on their way belong to the process, as all that MPI may still read.
    static auto& under_way = *new std::list<Letter>;
    std::erase_if(under_way, [](Letter& letter) {
      int done = 0;
      return MPI_Test(&letter.request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done != 0;
    });
    Letter& letter = under_way.emplace_back(Letter{std::move(text)});
    check_mpi(
        MPI_Isend(letter.text.data(), static_cast<int>(letter.text.size()), MPI_CHAR, 0, kTag, comm_, &letter.request),
        "MPI_Isend");
    ++count_;
  }
  std::optional<std::string> receive() override {
    int there = 0, size = 0;
    MPI_Status status;
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &there, &status), "MPI_Iprobe");
    if (there == 0) return std::nullopt;
    check_mpi(MPI_Get_count(&status, MPI_CHAR, &size), "MPI_Get_count");
    std::string text(static_cast<std::size_t>(size), ' ');
    check_mpi(MPI_Recv(text.data(), size, MPI_CHAR, status.MPI_SOURCE, kTag, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
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

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, double limit) : comm_(comm) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);  // before others are made of it, which have it from there
    patience_ = std::make_shared<MpiPatience>(comm_, limit);
  }
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }
  std::unique_ptr<Communicator> split(int color, int key) override {
    return patience_->make("making groups", [comm = comm_, color, key] {
      MPI_Comm part = MPI_COMM_NULL;
      check_mpi(MPI_Comm_split(comm, color, key, &part), "MPI_Comm_split");
      return make_part(part);
    });
  }
  std::unique_ptr<Communicator> on_node() override {
    return patience_->make("making groups of machines", [comm = comm_, rank = rank_] {
      MPI_Comm part = MPI_COMM_NULL;
      check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &part), "MPI_Comm_split_type");
      return make_part(part);
    });
  }
  std::unique_ptr<Tickets> tickets(std::size_t counters) override {
    return patience_->make("making tickets", [comm = comm_, counters] { return make_mpi_tickets(comm, counters); });
  }
  std::unique_ptr<Notice> notice() override { return made<Notice, MpiNotice>("making a notice"); }
  std::unique_ptr<Mail> mail() override { return made<Mail, MpiMail>("making a mail"); }
  std::unique_ptr<Attendance> attendance() override { return made<Attendance, MpiAttendance>("making an attendance"); }
  std::unique_ptr<Work> all_reduce_sum(std::span<float> data) override {
    return all_reduce(data, MPI_FLOAT, MPI_SUM, "a sum");
  }
  void all_reduce_sum(std::span<double> data) override { all_reduce(data, MPI_DOUBLE, MPI_SUM, "a sum")->wait(); }
  void all_reduce_max(std::span<std::uint64_t> data) override { start_all_reduce_max(data)->wait(); }
  std::unique_ptr<Work> start_all_reduce_max(std::span<std::uint64_t> data) override {
    return all_reduce(data, MPI_UINT64_T, MPI_MAX, "a maximum");
  }
  void broadcast(std::span<std::byte> data, int root) override {
    do {  // MPI counts in int
      const auto part = data.first(std::min(data.size(), kMostAtOnce));
      const auto operation = patience_->begin("a broadcast", part.size());
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Ibcast(part.data(), static_cast<int>(part.size()), MPI_BYTE, root, comm_, &request), "MPI_Ibcast");
      patience_->finish(request, operation);
      data = data.subspan(part.size());
    } while (!data.empty());
  }
  std::optional<LostPeer> lost_peer() override { return patience_->lost_peer(); }
  [[noreturn]] void abort(int code) noexcept override {
    MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);
  }

 private:
  // Its ranks meet at every step.
  static std::unique_ptr<Communicator> make_part(MPI_Comm part) {
    MpiSession::get().keep([part]() mutable { MPI_Comm_free(&part); });
    return std::make_unique<MpiCommunicator>(part, rank_time_limit());
  }
  template <class Interface, class Implementation>
  std::unique_ptr<Interface> made(const char* call) {
    return patience_->make(
        call, [comm = comm_]() -> std::unique_ptr<Interface> { return std::make_unique<Implementation>(comm); });
  }
  template <class T>
  std::unique_ptr<Work> all_reduce(std::span<T> data, MPI_Datatype type, MPI_Op what, const char* name) {
    const auto operation = patience_->begin(name, data.size_bytes());
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()), type, what, comm_, &request),
              "MPI_Iallreduce");
    return std::make_unique<MpiWork>(request, patience_, operation);
  }

  MPI_Comm comm_;
  std::shared_ptr<MpiPatience> patience_;
  int rank_ = 0, size_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> make_world() {
  const Launch launch = read_launch();
  std::unique_ptr<Communicator> world = make_self();
  if (launch.needs_mpi()) {
    MpiSession::get();
    // One of its ranks may read files meanwhile, for long. Waits for the end of training have no limit: poll().
    world = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, kPatienceOfJob * rank_time_limit());
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
