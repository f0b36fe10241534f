// The reader of journals, on bytes as they are and on lines whose check sums are right.
#include <fmt/format.h>

#include "experiments/data/digest.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/run_account.h"
#include "tests/fuzz/memory_files.h"

#include <nlohmann/json.hpp>

namespace winnow::fuzz {
namespace {

// As JournalWriter writes a record.
std::string with_check_sums(std::string_view text) {
  std::string sealed;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    sealed += fmt::format("{:08x} {}\n", crc32_of(std::as_bytes(std::span(line))), line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return sealed;
}

void read_all(std::vector<std::byte> bytes) {
  const std::filesystem::path out = "out", path = Layout(out).journals() / "run.a0001.jnl";
  MemoryFiles files;
  files.put(path, std::move(bytes));
  refused_or_done([&] {
    const Journal journal = read_journal(files, path);
    const auto last = last_record(files, path, {"beat", "over"});
    if (last && journal.records.empty()) __builtin_trap();
    const TimeSpent spent = account_of_runs(files, out, 1000).spent;
    (void)spent;
  });
}

}  // namespace
}  // namespace winnow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace winnow::fuzz;
  read_all(bytes_of({data, size}));
  const std::string sealed = with_check_sums({reinterpret_cast<const char*>(data), size});
  read_all(bytes_of({reinterpret_cast<const std::uint8_t*>(sealed.data()), sealed.size()}));
  return 0;
}
