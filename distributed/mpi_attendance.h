// Attendance by messages of MPI, on a communicator of its own. Included by the sources that call MPI.
#pragma once

#include <vector>

#include "distributed/communicator.h"
#include "distributed/mpi_session.h"

namespace winnow {

class MpiAttendance final : public Attendance {
 public:
  explicit MpiAttendance(MPI_Comm comm);  // collective
  void say(std::int64_t place) override;
  std::int64_t heard(int rank) override;

 private:
  static constexpr int kTag = 3;
  static void close(MPI_Comm comm);

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  std::vector<std::int64_t> furthest_;  // by rank
};

}  // namespace winnow
