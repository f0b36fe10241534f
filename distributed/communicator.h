// Ranks that work together: one trial's group, or the whole job. Sums are bit-reproducible for a
// given number of ranks on one machine. Not synchronised: one thread of a rank uses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace winnow {

// An all-reduce under way on memory that must stay untouched until wait() returns.
class Work {
 public:
  virtual ~Work() = default;
  virtual bool poll() = 0;  // never blocks; also lets communication make progress
  virtual void wait() = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const noexcept = 0;
  virtual int size() const noexcept = 0;
  // Ranks with the same color form a group, ordered by `key`. Collective.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
  virtual std::unique_ptr<Work> all_reduce_sum(std::span<float> data) = 0;  // in place, starts at once
  virtual void all_reduce_sum(std::span<double> data) = 0;
  virtual void all_reduce_max(std::span<std::uint64_t> data) = 0;
  virtual void broadcast(std::span<std::byte> data, int root) = 0;
  virtual void barrier() = 0;
  // Ends all ranks of the job at once; used when one of them cannot go on.
  [[noreturn]] virtual void abort(int code) noexcept = 0;
};

std::unique_ptr<Communicator> make_self();
// The whole job: MPI if this process was launched by mpirun or srun, else this process alone.
// MPI is initialised once and finalised at exit.
std::unique_ptr<Communicator> make_world();
bool launched_by_mpi();

// A number that every rank of a job can draw from without a server: 0, 1, 2, ... each handed out
// once. Creation and destruction are collective.
class Tickets {
 public:
  virtual ~Tickets() = default;
  virtual std::int64_t next() = 0;
};
std::unique_ptr<Tickets> make_tickets(Communicator& world);

}  // namespace winnow
