// checkpoints/<trial>/<number>.ck: what a trial that is not done goes on from. Published whole, never changed, the newest two
// kept; docs/formats.md has the layout. A CheckpointFolder is one trial's, used by one thread at a time; two processes
// may use one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/files.h"

namespace winnow {

// What must be known of a checkpoint before it is used.
struct CheckpointNote {
  std::string trial;      // TrialSpec::name()
  std::string writer;     // the winnow that wrote it
  std::string precision;  // of the computation
  int ranks = 1;
  std::int64_t step = 0;
  std::vector<std::string> attempts = {};  // of the trial so far, in words
};

struct Checkpoint {
  CheckpointNote note;
  std::vector<std::byte> state;  // core/state_bytes.h
};

std::vector<std::byte> encode_checkpoint(const CheckpointNote& note, std::vector<std::byte> state);
// Error{Input} for what is damaged or no checkpoint.
Checkpoint decode_checkpoint(std::vector<std::byte> bytes, const std::string& label);

// Of several trials that a process had in hand when it died nobody knows which one it was: that counts against none of them.
enum class CrashOf { One, Several };

class CheckpointFolder {
 public:
  CheckpointFolder(Files& files, const std::filesystem::path& out, const std::string& trial);

  void keep(std::span<const std::byte> bytes);  // as the newest; it is on disk when the call returns
  // The newest that is whole; of each that is not, a line in `problems`.
  std::optional<Checkpoint> newest(std::vector<std::string>& problems);
  // That of the newest, as it says itself; nothing: there is none that says so.
  std::optional<std::int64_t> newest_step();
  void clear();  // removes all of it, crashes too

  // checkpoints/<trial>/<number>.crash: that the trial's process died, as others saw it or as it said itself (CrashWatch).
  std::size_t crashes();  // the number of the last one
  std::filesystem::path crash_path(std::size_t number) const;
  // The first one to note a crash by its number, from 1, is heard; the others saw the same one.
  void note_crash(std::size_t number, const std::string& reason, CrashOf of = CrashOf::One);
  // Why it is not tried again: kMostCrashes of its own since it last came further.
  std::optional<std::string> given_up();
  void forget_crashes();
  std::vector<std::filesystem::path> damaged_crashes();  // notes that say nothing
  static constexpr std::size_t kMostCrashes = 3;

 private:
  static constexpr std::size_t kKept = 2;
  std::vector<std::string> names(const char* ending);  // oldest first

  Files& files_;
  std::filesystem::path folder_;
  std::string trial_;
};

// What a note of a crash says; `step`: that was saved.
std::string crash_text(std::int64_t step, const std::string& reason, CrashOf of, const std::string& time = "");

// Those of a trial that has a result. That they cannot be removed is no error: the next run tries again.
void clear_checkpoints(Files& files, const std::filesystem::path& out, const std::string& trial) noexcept;
// By trial, for those that have one: the step at which its newest was taken.
std::map<std::string, std::int64_t> saved_steps(Files& files, const std::filesystem::path& out);
// Of all trials that have a result by now, and what writers that died left behind.
void clear_old_checkpoints(Files& files, const std::filesystem::path& out);

}  // namespace winnow
