// A sweep of five shards on its way to Slurm, and what is then in the queue. Header only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "experiments/submit/submitter.h"
#include "tests/submit/fake_slurm.h"

namespace winnow::test {

inline constexpr int kShards = 5;
inline constexpr std::int64_t kNow = 1'700'000'000;

// What `winnow submit` does, of a sweep of which all is missing.
inline std::vector<Submission> submit_missing(Files& files, const std::filesystem::path& out, Slurm& slurm,
                                              std::int64_t now) {
  const KnownJobs known = look_at_jobs(files, out, slurm, 0);
  std::vector<int> wanted;
  for (int shard = 0; shard < kShards; ++shard) {
    const bool active = std::ranges::any_of(known.jobs, [&](const KnownJob& job) {
      const auto shards = job.active_shards();
      return std::ranges::binary_search(shards, shard);
    });
    if (!active) wanted.push_back(shard);
  }
  if (wanted.empty()) return {};
  Site site;
  site.time = "01:00:00";
  SubmitRequest request{.out = out,
                        .sweep = "s",
                        .plan = "p",
                        .deal = "d",
                        .shards = kShards,
                        .arrays = split_shards(wanted, 3, 100),
                        .site = site,
                        .launch = "",
                        .command = "winnow run"};
  return Submitter(files, slurm, [now] { return now; }).submit(request, known);
}

// In the queue, by the offset and the index under which each was submitted.
inline std::vector<int> shards_in_queue(const FakeSlurm& fake, const std::filesystem::path& out) {
  PosixFiles files;
  std::vector<int> shards;
  std::size_t named = 0;
  for (const Submission& one : read_submissions(files, out)) {
    for (const std::string& line : fake.lines("jobs")) {
      if (!line.ends_with("|" + one.job_name)) continue;
      shards.push_back(one.shard(std::stoi(line.substr(line.find('|') + 1))));
      ++named;
    }
  }
  EXPECT_EQ(named, fake.lines("jobs").size()) << "a job that no record knows";
  std::ranges::sort(shards);
  return shards;
}

// As another user recorded it, or a version that did not say whose it is.
inline Submission submitted_by(std::int64_t user_id, Submission::State state, std::int64_t job) {
  Submission one;
  one.number = 1;
  one.job_name = "s-of-another";
  one.plan = "p";
  one.deal = "d";
  one.indices = {0, 1};
  one.shards = 2;
  one.user = user_id < 0 ? "" : "ada";
  one.user_id = user_id;
  one.created = kNow;
  one.state = state;
  one.job = job;
  return one;
}

}  // namespace winnow::test
