// While a trial is trained by a process that no other one looks after, as the ranks of mpirun, which ends all with the first: if
// the process crashes (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT), it leaves the note that others leave of a crash that they live
// to see (CheckpointFolder::note_crash). SIGKILL leaves none, nor does what tells a run to stop: neither is a fault of the trial.
// One at a time in a process, made and used by one thread; a crash of any thread is noted, one of a forked child is not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace winnow {

// What a process that crashes does from then on, before what it did until then.
void catch_crashes();

class CrashWatch {
 public:
  // `note`: of the trial's next crash, CheckpointFolder::crash_path(). `step`: that is saved. `mark`: beside the journal of the
  // run (crash_mark()); empty: there is no journal.
  CrashWatch(std::filesystem::path note, std::int64_t step, std::filesystem::path mark = {});
  ~CrashWatch();
  CrashWatch(const CrashWatch&) = delete;
  CrashWatch& operator=(const CrashWatch&) = delete;

  void saved(std::int64_t step);

  struct Note;

 private:
  std::filesystem::path path_, mark_;
  std::unique_ptr<const Note> note_, before_;  // a thread may be crashing with the one before
};

}  // namespace winnow
