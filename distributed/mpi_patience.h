// How long a rank waits for what the ranks of a group do together: as long as it takes, but not for a process of its machine that
// has ended, and not for ever. One of a communicator, with all its operations; used by one thread. Included by the sources
// that call MPI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "distributed/mpi_attendance.h"
#include "distributed/ranks_lost.h"

namespace winnow {

class MpiPatience {
 public:
  // Collective. `limit`: seconds that an operation may take; infinite: as long as all processes of this machine are there.
  MpiPatience(MPI_Comm comm, double limit);

  struct Operation {
    const char* call;
    std::int64_t bytes;
    std::int64_t place;  // among those of the group
  };
  // In the same order on all ranks.
  Operation begin(const char* call, std::size_t bytes) { return {call, static_cast<std::int64_t>(bytes), ++place_}; }
  // RanksLost: with who is missing.
  void finish(MPI_Request& request, const Operation& operation);
  // Is it done? RanksLost for a process that has ended, without a limit: others may have work for hours.
  bool poll(MPI_Request& request, const Operation& operation);
  // What `work` makes with the other ranks by calls that give no request to ask, as those that make groups. Such a call never
  // returns where a rank does not come, so a thread of its own makes it; where this one gives up, the process ends soon.
  template <class Work>
  auto make(const char* call, Work work) {
    using Made = decltype(work());
    const auto made = std::make_shared<Made>();
    perform([made, own = std::move(work)] { *made = own(); }, begin(call, 0));
    return std::move(*made);
  }
  std::optional<NodePeers::Lost> lost_peer() { return peers_.lost(stands_still_); }

 private:
  void perform(std::function<void()> work, const Operation& operation);
  void look_around(const Operation& operation, double waited);

  MpiAttendance attendance_;
  NodePeers peers_;  // of the group
  int rank_ = 0, size_ = 1;
  double limit_, stands_still_ = rank_time_limit() / 2;  // seconds
  std::int64_t place_ = 0, said_ = -1;  // the last operation begun; the last one of which this rank said that it waits
};

}  // namespace winnow
