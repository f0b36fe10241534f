// Tickets of a job under MPI. Included by the sources that call MPI.
#pragma once

#include <memory>

#include "distributed/communicator.h"
#include "distributed/mpi_session.h"

namespace winnow {

// Collective. Where all ranks are on one machine, counters in memory that they share; else rank 0 keeps them and a thread of it
// answers, whatever rank 0 is doing: MPI's one-sided operations go on only while their target is inside MPI (Open MPI over
// TCP: a draw waited as long as the target's step took), and some builds have none between machines. Error{Site} on
// every rank if MPI does not let two threads call it then.
std::unique_ptr<Tickets> make_mpi_tickets(MPI_Comm comm, std::size_t counters);

}  // namespace winnow
