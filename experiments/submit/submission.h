// What was submitted to Slurm: slurm/<number>.intent.json is on disk before sbatch is asked, slurm/<number>.answer.json when it is
// known what became of that. Both are written once, so of two that submit at the same time one has the number, and a
// submission that nobody saw the end of is one without an answer. Plain values; the functions may be called by any process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/results/files.h"

namespace winnow {

struct Submission {
  int number = 0;
  // Which no other job has: by it Slurm is asked for the job where its number is not known.
  std::string job_name;
  std::string sweep;  // its label
  std::string plan;   // digest of its trials' names
  std::string deal;   // what the shards are of (run --deal), shared by all that share the work out
  int shards = 0;     // of the whole plan
  int offset = 0;     // shard of index 0
  std::vector<int> indices;
  std::string time_limit;
  // Who submits; -1: the record is of a version that did not say whose job it is.
  std::string host, user;
  std::int64_t user_id = -1, process = 0, created = 0;

  // Uncertain: sbatch may have been asked, and nobody knows what it did.
  enum class State { Uncertain, Submitted, Refused, Absent } state = State::Uncertain;
  std::int64_t job = 0;
  std::string reason;  // why there is no job

  int shard(int index) const { return offset + index; }
};

// By number. Error{Input} for a damaged record: what it says nobody may guess.
std::vector<Submission> read_submissions(Files& files, const std::filesystem::path& out);
// On disk when it returns. False: another process has taken the number.
bool write_intent(Files& files, const std::filesystem::path& out, const Submission& submission);
// The first answer stays.
void write_answer(Files& files, const std::filesystem::path& out, const Submission& submission);

std::filesystem::path script_of(const std::filesystem::path& out, int number);
// 16 digits of this machine's random numbers, for names that nobody else has.
std::string new_token();

}  // namespace winnow
