// What `extends` makes of several files: chains, cycles, files that are not there. The input is cut at lines "%" into f0.yaml,
// f1.yaml, ... of a folder of this process, of which the first is the sweep.
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "experiments/sweep/sweep.h"
#include "tests/fuzz/memory_files.h"
#include "tests/fuzz/sweep_text.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::fuzz {
namespace {

constexpr std::size_t kMostFiles = 4;

std::filesystem::path folder() {
  static const std::filesystem::path made = [] {
    std::string name = (std::filesystem::temp_directory_path() / "winnow-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    static const std::string kept = name;
    std::atexit([] { std::filesystem::remove_all(kept); });
    return std::filesystem::path(name);
  }();
  return made;
}

// Of this folder and those above: elsewhere are devices, which may wait for somebody or have no end.
bool leads_elsewhere(std::string_view text) {
  for (std::size_t at = text.find('/'); at != std::string_view::npos; at = text.find('/', at + 1)) {
    if (at == 0 || text[at - 1] != '.') return true;
  }
  return false;
}

void write_files(std::string_view text) {
  for (std::size_t number = 0; number < kMostFiles; ++number) {
    const auto path = folder() / ("f" + std::to_string(number) + ".yaml");
    if (number > 0 && text.empty()) {
      std::filesystem::remove(path);
      continue;
    }
    const std::size_t end = number + 1 == kMostFiles ? std::string_view::npos : text.find("\n%\n");
    std::ofstream(path, std::ios::binary) << text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 3);
  }
}

}  // namespace
}  // namespace winnow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace winnow;
  static const Catalog catalog = test::small_catalog();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (fuzz::is_large(text) || fuzz::leads_elsewhere(text)) return -1;
  fuzz::write_files(text);
  fuzz::refused_or_done([&] {
    const Sweep sweep = load_sweep(fuzz::folder() / "f0.yaml", catalog);
    if (sweep.trials.empty()) __builtin_trap();
  });
  return 0;
}
