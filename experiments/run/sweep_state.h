// What `winnow run` finds of its trials in the output directory, and how those it trained ended.
// Functions that look at the disk are for one rank; the rest are plain values.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/trial_table.h"

namespace winnow {

// FailedBefore: no result, but the record of a failure. Unreadable: a file is in the place of the result and cannot be read, so the trial can neither count nor be published.
// Stopped: no result, and by the rule of its sweep it is not to go on. Waits: the same, but what is to be trained now can let it go on.
enum class Found : std::uint8_t { Nothing, Done, Diverged, FailedBefore, Unreadable, Stopped, Waits };

// The trial's result, if there is one, after every byte or the whole content was checked. What is wrong with an
// unreadable one is added to `problems`, one line a file.
Found find_result(Files& files, const std::filesystem::path& out, const std::string& name,
                  std::vector<std::string>& problems);
// Of every trial that is `wanted`. Files that were checked by an earlier run and have not changed since are not read again.
std::vector<Found> find_results(Files& files, const std::filesystem::path& out, const TrialTable& trials,
                                std::span<const char> wanted, std::vector<std::string>& problems);
// What killed runs left half-written anywhere below `out`.
void clear_leftovers(Files& files, const std::filesystem::path& out);
// Why a trial cannot be trained with the results that those which it needs have now, in one line; nothing: it can.
std::optional<std::string> missing_need(Files& files, const std::filesystem::path& out, const TrialSpec& spec);
// Does a live process train the trial of this name now?
bool is_in_work(Files& files, const std::filesystem::path& out, const std::string& name);

// How the trials of a run ended, each counted by one rank, so that sums over ranks are right.
struct Tally {
  // Elsewhere: another run on the same directory published the result first. Unreadable: of those that failed, because
  // of a file to read. Refused: of those that failed, for the GPUs of their ranks.
  enum Ending : std::size_t {
    Trained,
    Diverged,
    Failed,
    Unreadable,
    Refused,
    Elsewhere,
    ElsewhereDiverged,
    ElsewhereUnreadable,
    kEndings
  };
  std::array<double, kEndings> counts{};
  double& operator[](Ending ending) { return counts[ending]; }
  double operator[](Ending ending) const { return counts[ending]; }
  Tally& operator+=(const Tally& other);
};

// What became of a run, in which every trial is counted once.
struct RunSummary {
  std::size_t trials = 0, already_done = 0;
  std::size_t already_diverged = 0;  // of these
  std::size_t unreadable = 0, left_alone = 0, elsewhere = 0, trained = 0, diverged = 0, failed = 0;
  std::string line() const;
};
RunSummary summary(std::span<const Found> found, const Tally& tally, bool retry_failed);
// Some file could not be read: of the data, or in the place of a result.
bool any_unreadable(std::span<const Found> found, const Tally& tally);
// Every trial has the result of a finished training.
bool all_well(std::span<const Found> found, const Tally& tally, bool retry_failed);

}  // namespace winnow
