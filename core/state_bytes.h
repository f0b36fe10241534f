// Saved state as one row of bytes, for files and messages: little-endian, blocks in the order in which they were put. The
// bytes carry no check sum; who stores or sends them adds one. Plain functions.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/state.h"

namespace winnow {

// Appends what is put to `bytes()`. Of several blocks of one key a reader sees the last.
class BytesWriter final : public StateWriter {
 public:
  BytesWriter();
  void put(std::string_view key, const Block& block) override;
  std::vector<std::byte> take();  // it is empty afterwards

 private:
  std::vector<std::byte> bytes_;
};

// Reads blocks where they lie: the bytes must outlive it. Errors as of add_blocks.
class BytesBlocks final : public StateReader {
 public:
  BytesBlocks(std::span<const std::byte> bytes, const std::string& label);
  Block get(std::string_view key) override;
  std::vector<std::string> unread() const override;

 private:
  struct Seen {
    Block block;
    bool read = false;
  };
  std::map<std::string_view, Seen> blocks_;  // names lie in the bytes, too
};

std::vector<std::byte> bytes_of(const MemoryState& state);
// Adds the blocks of `bytes` to `state`. Error{Input}, naming `label`, for what no BytesWriter wrote: nothing outside
// `bytes` is read and no more memory taken than they have, whatever they hold.
void add_blocks(MemoryState& state, std::span<const std::byte> bytes, const std::string& label);

}  // namespace winnow
