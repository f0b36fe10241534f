// The processes of a job that run on this machine, watched by what the system says of them: whether one has ended or stands
// still. No launcher tells a rank that waits inside MPI of this, and srun lets it wait until it kills it, KillWait later.
// Plain values; one thread.
#pragma once

#include <sys/types.h>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace winnow {

struct ProcessState {
  char letter = 0;  // of proc(5), 0: there is none, '?': it could not be read
  std::uint64_t started = 0;
};
ProcessState state_of_process(std::int64_t id);

// A process as nobody after it will be: numbers are used again.
struct ProcessMark {
  std::int64_t id = 0;
  std::uint64_t started = 0;  // clock ticks since the machine was, 0: the system does not say
};
ProcessMark mark_of(std::int64_t id);
ProcessMark own_mark();

class NodePeers {
 public:
  struct Peer {
    int rank;
    ProcessMark process;
  };
  NodePeers() = default;
  // Those that cannot be seen from here, as ranks in containers of their own, are not watched.
  explicit NodePeers(const std::vector<Peer>& peers);

  NodePeers only(const std::vector<int>& ranks) const;

  using Lost = Communicator::LostPeer;
  // Who has ended, or has stood still (SIGSTOP) for longer than `patience` seconds. Looks every kLookEvery at most. An end is
  // told kGrace late, as a rank that fails says more itself, and the launcher may end the others.
  std::optional<Lost> lost(double patience);

 private:
  struct Watched {
    Peer peer;
    double ended = 0, stopped = 0;  // seconds that this has been seen
  };
  static constexpr double kLookEvery = 0.5, kGrace = 2;
  std::vector<Watched> watched_;
  double looked_ = 0;
};

}  // namespace winnow
