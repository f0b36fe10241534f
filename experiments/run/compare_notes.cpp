#include "experiments/run/compare_notes.h"

#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "distributed/agree.h"
#include "experiments/data/digest.h"
#include "experiments/run/provenance.h"

namespace winnow {
namespace {

std::string digest_of(std::string_view text) {
  Sha256 digest;
  digest.update(text);
  return digest.hex();
}

// `mine` is the hexadecimal text of a digest.
void same_as_rank_0(Communicator& world, const std::string& mine, const char* what) {
  std::string first = mine;
  world.broadcast(std::as_writable_bytes(std::span(first)), 0);
  agree(world, [&] {
    if (mine != first) fail(ErrorKind::Site, "has {} than rank 0; all ranks of a job must have the same", what);
  });
}

// On a network file system a new file may take a moment to be seen.
void see(Files& files, const std::filesystem::path& probe) {
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);;) {
    if (files.exists(probe)) return;
    if (std::chrono::steady_clock::now() > end) {
      fail(ErrorKind::Site,
           "{} is not the folder that rank 0 writes to: OUT must be on a file system that all ranks share",
           std::filesystem::absolute(probe.parent_path()).string());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

void share_out(Communicator& world, const std::filesystem::path& out, Files& files) {
  std::uint64_t name = std::random_device()();
  world.broadcast(std::as_writable_bytes(std::span(&name, 1)), 0);
  const auto probe = out / fmt::format("ranks.tmp.{:x}", name);
  agree(world, [&] {
    if (world.rank() != 0) return;
    files.make_folders(out);
    if (world.size() > 1) files.replace(probe, std::string_view("written by rank 0, to be seen by all\n"));
  });
  if (world.size() == 1) return;
  try {
    agree(world, [&] { see(files, probe); });
  } catch (const AgreedError&) {
    if (world.rank() == 0) files.remove(probe);
    throw;
  }
  agree(world, [&] {
    if (world.rank() == 0) files.remove(probe);
  });
}

void compare_notes(Communicator& world, const SweepJob& job) {
  if (world.size() == 1) return;
  same_as_rank_0(world, digest_of(build_summary()), "another build of winnow");
  std::string sweep;
  agree(world, [&] { sweep = digest_of(text_of_sweep(job.sweep, job.expand.text)); });
  same_as_rank_0(world, sweep, "another sweep file");
  const RunOptions& run = job.options;
  std::vector<std::string> set = job.expand.set;
  for (const OptionSetting& option : job.expand.options) set.push_back(option.setting);
  same_as_rank_0(world,
                 digest_of(fmt::format("{}\n{}\n{} {} {} {} {} {} {}", fmt::join(set, "\n"),
                                       fmt::join(job.expand.only, "\n"), job.expand.smoke, run.threads,
                                       run.retry_failed, run.strict, run.shard ? run.shard->number : -1,
                                       run.shard ? run.shard->of : 0, run.shard ? run.shard->deal : "")),
                 "other options");
}

}  // namespace winnow
