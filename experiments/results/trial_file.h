// The result file of one trial: trials/<id[:2]>/<id>-r<replicate>.h5, written once, read-only and never
// changed by winnow. What another program changed still counts while its content matches its digest, so tools may
// open it and add notes at its top. Files are decoded in child processes (isolated.h): one may come from a stranger.
// Schema winnow-trial 1, described in docs/formats.md. Only finished and diverged trials
// have one; a failed trial leaves a failure record (failure_file.h) and is tried again by the next run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "experiments/results/files.h"
#include "experiments/results/trial_content.h"
#include "experiments/trial.h"

namespace winnow {

struct TrialHeader {
  std::string name, id;
  std::int64_t replicate = 0;
  Outcome outcome = Outcome::Done;
  std::string reason;   // of a divergence
  std::string created;  // UTC, ISO 8601
  std::string writer, content_digest;
};

// The same result gives the same bytes. `created` and provenance are no part of the content digest,
// and neither is what the machine decides: times, rank count, bytes sent, memory.
std::vector<std::byte> encode_trial(const TrialResult& result, const std::string& created);

enum class Published { New, AlreadyThere };
// AlreadyThere: a file of this name existed and was kept; check_result says whether it is this result.
Published publish(Files& files, const std::filesystem::path& out, const TrialResult& result);
Published publish(Files& files, const std::filesystem::path& out, const TrialResult& result,
                  const std::string& created);

// stopped/<id[:2]>/<id>-r<replicate>.h5: what is known of a trial that a rule of its sweep stopped, or that waits for its decision.
// Replaced when it comes further; removed when there is a result.
void publish_stopped(Files& files, const std::filesystem::path& out, const TrialResult& result);
void forget_stopped(Files& files, const std::filesystem::path& out, const std::string& name);
// Names of those without a result, sorted.
std::vector<std::string> stopped_trials(Files& files, const std::filesystem::path& out);

// A truncated or damaged file is Error{Input}, one of a newer major version Error{Settings}; nothing is changed.
TrialHeader read_header(Files& files, const std::filesystem::path& path);
// What status needs, from the end of the file alone: no more than "cut short" is checked.
struct TrialNote {
  std::string name;
  Outcome outcome = Outcome::Done;
  std::string created;
  double seconds = 0;  // 0: unknown
};
TrialNote read_note(Files& files, const std::filesystem::path& path);
// The same of a file that is whole: every byte was checked, or the content.
TrialNote check_result(Files& files, const std::filesystem::path& path);
// Everything but the weights; `layers` has the form and bytes of each tensor.
TrialResult read_trial(Files& files, const std::filesystem::path& path);
struct ReadTrial {
  TrialHeader header;
  TrialResult result;
};
ReadTrial read_whole_trial(Files& files, const std::filesystem::path& path);
TrialResult read_trial(const std::filesystem::path& path);
// What its record (trial_record.h) would be, from its content. For work in a child process.
std::vector<std::byte> record_of_content(std::span<const std::byte> bytes, const std::filesystem::path& path);
// All that can be known of a file without training: every byte, the digest of its content, that its settings have its id, that
// each weight can be decoded, and that its record says the same. For work in a child process.
ReadTrial examined_trial(std::span<const std::byte> bytes, const std::filesystem::path& path);
// The same of many, by several processes, in order; without tables.
void examine_trials(Files& files, std::span<const std::filesystem::path> paths,
                    const std::function<void(std::size_t, ReadTrial)>& take,
                    const std::function<void(std::size_t, const Error&)>& failed);
// In what the contents of two results differ (trial_content.h).
std::vector<ContentDifference> trial_differences(Files& files, const std::filesystem::path& first,
                                                 const std::filesystem::path& second, double tolerance);
// For readers of an output directory, where a file's name says whose result it is: a copy or a
// renamed file is Error{Input}, so that no result counts twice.
void check_owner(const std::filesystem::path& path, const std::string& name);
// Dense again, bit by bit, from any form. `which`: "weights" or "weights_start".
std::vector<WeightRecord> load_weights(const std::filesystem::path& path, const std::string& which = "weights");
// The weights of each file as stored, in HDF5 files of their own that the library wrote anew.
std::vector<std::vector<std::byte>> weights_images(Files& files, std::span<const std::filesystem::path> paths);

std::string now_utc();  // "2026-11-21T21:40:02Z"

}  // namespace winnow
