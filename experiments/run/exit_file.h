// What a batch script learns of a job beside the exit code of srun or mpirun, which is the highest or the last of its processes' and
// so may be that of one that only stopped with the others.
#pragma once

namespace winnow {

// Writes the code to $WINNOW_EXIT_FILE, if that is set and there is no such file yet. Called by the first process of a job that ends
// with another code than 0, and by rank 0 of a run that ended well: a launcher that started nothing may say 0. Never fails.
void note_exit_code(int code) noexcept;

// Makes an empty file $WINNOW_PROGRESS_FILE, if that is set: this start of the job has brought something that the next one need not do
// again. Called by any process, as often as it likes. Never fails; where the file cannot be made the start counts for nothing.
void note_progress() noexcept;

}  // namespace winnow
