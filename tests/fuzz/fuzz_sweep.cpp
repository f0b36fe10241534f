// The reader of sweep files and its expansion, over a catalog of its own.
#include "experiments/sweep/sweep.h"
#include "tests/fuzz/memory_files.h"
#include "tests/fuzz/sweep_text.h"
#include "tests/sweep/sweep_fixture.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace winnow;
  static const Catalog catalog = test::small_catalog();
  const std::string text(reinterpret_cast<const char*>(data), size);
  // Other files are not looked for: fuzz_extends.
  if (fuzz::is_large(text) || text.find("extends") != std::string::npos) return -1;
  fuzz::refused_or_done([&] {
    const Sweep sweep = load_sweep("fuzz.yaml", catalog, {.text = text});
    std::size_t names = 0;
    for (std::size_t at = 0; at < std::min<std::size_t>(sweep.trials.size(), 20); ++at)
      names += sweep.trials[at].name().size();
    if (sweep.trials.empty() || names < 20) __builtin_trap();
  });
  return 0;
}
