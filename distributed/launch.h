// What mpirun or srun says of this process in its environment, before MPI starts and whether or not MPI knows.
#pragma once

namespace winnow {

struct Launch {
  bool by_mpi = false;  // MPI_Init finds the other processes
  int rank = 0;
  int processes = 1;  // that were started together; 0: only MPI knows
  // Alone a process needs no MPI, whatever started it.
  bool needs_mpi() const { return by_mpi && processes != 1; }
};

// A batch script that srun did not start is one process, whatever the size of its allocation.
Launch read_launch();

}  // namespace winnow
