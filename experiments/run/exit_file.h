// What a batch script learns of a job's end beside the exit code of srun or mpirun, which is the highest or the last of its
// processes' and so may be that of one that only stopped with the others.
#pragma once

namespace winnow {

// Writes the code to $WINNOW_EXIT_FILE, if that is set and there is no such file yet. Called by the first process of a job that ends
// with another code than 0, and by rank 0 of a run that ended well: a launcher that started nothing may say 0. Never fails.
void note_exit_code(int code) noexcept;

}  // namespace winnow
