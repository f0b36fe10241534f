#include "distributed/mpi_session.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "distributed/deadline.h"
#include "distributed/ranks_lost.h"

namespace winnow {

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw RanksLost(fmt::format("{} failed: {}", call, std::string(text, static_cast<std::size_t>(length))));
}

MpiSession& MpiSession::get() {
  static MpiSession& session = *new MpiSession;  // outlives every destructor that runs at exit
  return session;
}

MpiSession::MpiSession() {
  // On a busy machine the processes of a job are not there at the same time.
  constexpr double kLeast = 60;  // s
  const Deadline start("the start of MPI", std::max(kLeast, kPatienceOfJob * rank_time_limit()));
  int initialised = 0;
  MPI_Initialized(&initialised);
  if (!initialised) {
    int provided = 0;
    // Several threads: mpi_tickets.cpp, which looks whether it was given.
    if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS) {
      fail(ErrorKind::Unavailable, "MPI could not be started");
    }
    std::atexit([] { get().end(); });
  }
  find_peers();
}

void MpiSession::find_peers() {
  MPI_Comm node = MPI_COMM_NULL;
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  MPI_Comm_size(node, &size);
  const NodePeers::Peer own{.rank = rank, .process = own_mark()};
  std::vector<NodePeers::Peer> all(static_cast<std::size_t>(size));
  constexpr int kBytes = sizeof(NodePeers::Peer);
  check_mpi(MPI_Allgather(&own, kBytes, MPI_BYTE, all.data(), kBytes, MPI_BYTE, node), "MPI_Allgather");
  check_mpi(MPI_Comm_free(&node), "MPI_Comm_free");
  peers_ = NodePeers(all);
}

void MpiSession::end() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized) return;
  const Deadline end("the end of MPI", kPatienceOfJob * rank_time_limit());
  for (const auto& give_back : held_) give_back();
  MPI_Finalize();
}

}  // namespace winnow
