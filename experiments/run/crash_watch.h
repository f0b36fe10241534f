// While a trial is trained by a process that no other one looks after, as the ranks of mpirun, which ends all with the first: if
// the process crashes (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT), it leaves the note that others leave of a crash that they live
// to see (CheckpointFolder::note_crash), of each trial in hand. SIGKILL leaves none, nor does what tells a run to stop: neither is
// a fault of the trial. Each is made and used by one thread, of which a process may have several that train; a crash of any
// thread is noted, one of a forked child is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "experiments/results/checkpoint_file.h"

namespace winnow {

// What a process that crashes does from then on, before what it did until then.
void catch_crashes();

class CrashWatch {
 public:
  // `note`: of the trial's next crash, CheckpointFolder::crash_path(). `step`: that is saved. `mark`: beside the journal of the
  // run (crash_mark()); empty: there is no journal. `of`: Several where others may be trained beside it.
  CrashWatch(std::filesystem::path note, std::int64_t step, std::filesystem::path mark = {}, CrashOf of = CrashOf::One);
  ~CrashWatch();
  CrashWatch(const CrashWatch&) = delete;
  CrashWatch& operator=(const CrashWatch&) = delete;

  void saved(std::int64_t step);

  struct Note;

 private:
  void put(std::unique_ptr<const Note> note);

  std::filesystem::path path_, mark_;
  CrashOf of_;
  std::size_t place_;  // among those of the process
};

}  // namespace winnow
