// Ranks that work together: one trial's group, or the whole job. Sums are bit-reproducible for a
// given number of ranks on one machine. Not synchronised: one thread of a rank uses it.
//
// No destructor here talks to another rank, so an exception can pass through any of these objects: what MPI made for them
// belongs to the process and is given back when MPI ends, on the way out of a job in which no rank failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace winnow {

// An all-reduce under way on memory that must stay untouched until wait() returns or poll() is true.
class Work {
 public:
  virtual ~Work() = default;
  virtual bool poll() = 0;  // never blocks; also lets communication make progress
  virtual void wait() = 0;
};

// Counters from which every process of a job can draw, whatever the others are doing: 0, 1, 2, ... each handed out once.
// Rank 0's are there until the last rank has drawn.
class Tickets {
 public:
  virtual ~Tickets() = default;
  virtual std::int64_t next(std::size_t counter) = 0;
};

// A word that any process of a job can give and every other one hears. Neither call waits for anybody.
class Notice {
 public:
  virtual ~Notice() = default;
  virtual void give() = 0;
  virtual bool heard() = 0;  // given here or elsewhere; once true it stays true
};

// Short texts from all other ranks to rank 0. Neither call waits for anybody.
class Mail {
 public:
  virtual ~Mail() = default;
  virtual void send(std::string text) = 0;           // not on rank 0
  virtual std::optional<std::string> receive() = 0;  // on rank 0: the next one that is there
  virtual std::int64_t count() const = 0;            // sent or received by this rank so far
};

// How far each rank says it has come, in numbers that grow. No call waits for anybody, so a rank that waits in vain can tell
// who else is waiting.
class Attendance {
 public:
  virtual ~Attendance() = default;
  virtual void say(std::int64_t place) = 0;  // to all others
  virtual std::int64_t heard(int rank) = 0;  // the furthest that this rank is known to have said; -1: nothing
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const noexcept = 0;
  virtual int size() const noexcept = 0;
  // Ranks with the same color form a group, ordered by `key`. Collective.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
  virtual std::unique_ptr<Tickets> tickets(std::size_t counters) = 0;       // collective
  virtual std::unique_ptr<Notice> notice() = 0;                             // collective
  virtual std::unique_ptr<Mail> mail() = 0;                                 // collective
  virtual std::unique_ptr<Attendance> attendance() = 0;                     // collective
  virtual std::unique_ptr<Communicator> on_node() = 0;                      // the ranks of one machine; collective
  virtual std::unique_ptr<Work> all_reduce_sum(std::span<float> data) = 0;  // in place, starts at once
  virtual void all_reduce_sum(std::span<double> data) = 0;
  virtual void all_reduce_max(std::span<std::uint64_t> data) = 0;
  virtual std::unique_ptr<Work> start_all_reduce_max(std::span<std::uint64_t> data) = 0;
  virtual void broadcast(std::span<std::byte> data, int root) = 0;
  // Who of the others, on this machine, has ended or stands still, so that waiting is in vain. Cheap, and meets nobody.
  struct LostPeer {
    std::string who;  // "rank 3 (process 4711) has ended"
    bool ended;
  };
  virtual std::optional<LostPeer> lost_peer() { return std::nullopt; }
  // Ends all ranks of the job at once; used when one of them cannot go on.
  [[noreturn]] virtual void abort(int code) noexcept = 0;
};

std::unique_ptr<Communicator> make_self();
// The whole job: MPI if mpirun or srun started this process with others, else this process alone. MPI is initialised once and
// finalised at exit. Error{Site} if the launcher started more processes than MPI brings together: each of them would run
// the whole sweep.
std::unique_ptr<Communicator> make_world();

}  // namespace winnow
