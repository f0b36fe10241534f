// The readers of the small records of an output folder: submissions with their answers, heartbeats, failures, plans. An input is
// the record under each of these names; its first line is also the answer to what is below it.
#include <string>

#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/shard_plan.h"
#include "experiments/submit/submission.h"
#include "tests/fuzz/memory_files.h"

namespace winnow::fuzz {
namespace {

const std::filesystem::path kOut = "out";

void read_submission(const std::string& intent, const std::string* answer) {
  const auto bytes = [](const std::string& text) {
    const auto raw = std::as_bytes(std::span(text));
    return std::vector<std::byte>(raw.begin(), raw.end());
  };
  MemoryFiles files;
  files.put(Layout(kOut).submissions() / "0001.intent.json", bytes(intent));
  if (answer != nullptr) files.put(Layout(kOut).submissions() / "0001.answer.json", bytes(*answer));
  refused_or_done([&] {
    for (const Submission& one : read_submissions(files, kOut)) {
      // What goes into scripts and names of files.
      if (!is_deal_name(one.deal) || one.job_name.find_first_of(" \n;$'\"") != std::string::npos) __builtin_trap();
      for (const int index : one.indices) {
        if (one.shard(index) < 0 || one.shard(index) >= one.shards) __builtin_trap();
      }
    }
  });
}

void read_heartbeat(std::vector<std::byte> bytes) {
  MemoryFiles files;
  files.put(Layout(kOut).progress("t-r0"), std::move(bytes));
  refused_or_done([&] {
    for (const RunningTrial& trial : read_running(files, kOut, 1'700'000'000)) {
      if (trial.ranks < 1 || trial.progress.step < 0 || trial.started < 0) __builtin_trap();
    }
  });
}

}  // namespace
}  // namespace winnow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace winnow;
  using namespace winnow::fuzz;
  const std::string text(reinterpret_cast<const char*>(data), size);
  read_submission(text, nullptr);
  if (const std::size_t end = text.find('\n'); end != std::string::npos) {
    const std::string answer = text.substr(0, end);
    read_submission(text.substr(end), &answer);
  }
  read_heartbeat(fuzz::bytes_of({data, size}));
  MemoryFiles files;
  files.put(Layout(kOut).failure("t-r0"), fuzz::bytes_of({data, size}));
  files.put(Layout(kOut).plans() / "0123456789abcdef0123.tsv", fuzz::bytes_of({data, size}));
  refused_or_done([&] { read_failures(files, kOut); });
  refused_or_done([&] { read_plans(files, kOut); });
  return 0;
}
