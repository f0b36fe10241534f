// The readers of checkpoints, of saved state and of the records of results, whose form it is: bytes as they are, and with
// check sums that are right.
#include "core/state_bytes.h"
#include "experiments/data/digest.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/container.h"
#include "experiments/results/trial_record.h"
#include "tests/fuzz/memory_files.h"

namespace winnow::fuzz {
namespace {

void read_checkpoint(std::vector<std::byte> bytes) {
  refused_or_done([&] {
    const Checkpoint checkpoint = decode_checkpoint(std::move(bytes), "fuzz.ck");
    MemoryState state;
    add_blocks(state, checkpoint.state, "fuzz.ck");
  });
}

// What was read is written as it was: nothing is lost or made up on the way.
void read_state(const std::vector<std::byte>& bytes) {
  refused_or_done([&] {
    MemoryState state, again;
    add_blocks(state, bytes, "fuzz");
    add_blocks(again, bytes_of(state), "again");
    if (!(state == again)) __builtin_trap();
  });
}

void read_record_file(std::vector<std::byte> record) {
  MemoryFiles files;
  const std::string note = note_with_record(R"({"schema":"winnow-trial"})", record);
  files.put("fuzz.h5", sealed(record, note));
  refused_or_done([&] { read_record(files, "fuzz.h5"); });
  refused_or_done([&] { decode_record(record, "fuzz"); });
}

}  // namespace
}  // namespace winnow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace winnow;
  using namespace winnow::fuzz;
  const std::vector<std::byte> bytes = fuzz::bytes_of({data, size});
  read_checkpoint(bytes);
  read_state(bytes);
  read_record_file(bytes);
  // The first line as the note of the rest.
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(text.find('\n'), text.size());
  if (end < 2000) {
    const std::span<const std::uint8_t> rest(data + end, size - end);
    read_checkpoint(sealed(fuzz::bytes_of(rest), text.substr(0, end)));
    read_checkpoint(
        encode_checkpoint({.trial = text.substr(0, end), .writer = "w", .precision = "f32"}, fuzz::bytes_of(rest)));
  }
  return 0;
}
