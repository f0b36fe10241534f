#include "distributed/mpi_attendance.h"

#include <list>

namespace winnow {

MpiAttendance::MpiAttendance(MPI_Comm comm) {
  check_mpi(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
  MPI_Comm_rank(comm_, &rank_);
  int size = 0;
  MPI_Comm_size(comm_, &size);
  furthest_.assign(static_cast<std::size_t>(size), -1);
  MpiSession::get().keep([own = comm_] { close(own); });
}

void MpiAttendance::say(std::int64_t place) {
  // What is on its way belongs to the process, as all that MPI may still read. Few are said: nobody waits long twice.
  static auto& said = *new std::list<std::int64_t>;
  furthest_[static_cast<std::size_t>(rank_)] = place;
  const std::int64_t& text = said.emplace_back(place);
  for (int other = 0; other < static_cast<int>(furthest_.size()); ++other) {
    if (other == rank_) continue;
    MPI_Request sending = MPI_REQUEST_NULL;
    check_mpi(MPI_Isend(&text, 1, MPI_INT64_T, other, kTag, comm_, &sending), "MPI_Isend");
    check_mpi(MPI_Request_free(&sending), "MPI_Request_free");
  }
}

std::int64_t MpiAttendance::heard(int rank) {
  int waiting = 0;
  MPI_Status status;
  while (check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &waiting, &status), "MPI_Iprobe"), waiting != 0) {
    std::int64_t& furthest = furthest_[static_cast<std::size_t>(status.MPI_SOURCE)];
    check_mpi(MPI_Recv(&furthest, 1, MPI_INT64_T, status.MPI_SOURCE, kTag, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
  }
  return furthest_.at(static_cast<std::size_t>(rank));
}

// Takes in what nobody asked for.
void MpiAttendance::close(MPI_Comm comm) {
  MPI_Barrier(comm);
  std::int64_t place = 0;
  for (int waiting = 1; waiting != 0;) {
    MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm, &waiting, MPI_STATUS_IGNORE);
    if (waiting != 0) MPI_Recv(&place, 1, MPI_INT64_T, MPI_ANY_SOURCE, kTag, comm, MPI_STATUS_IGNORE);
  }
  MPI_Comm_free(&comm);
}

}  // namespace winnow
