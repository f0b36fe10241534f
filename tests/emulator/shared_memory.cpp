// Shared memory of a block (block.h): arrays side by side, 0xff at the start of a block, guard bytes behind each.
#include <algorithm>

#include "tests/emulator/block.h"

namespace winnow::emulator {

namespace {
constexpr std::size_t kSharedGuard = 16;
constexpr std::byte kSharedGuardByte{0xc5}, kSharedPoison{0xff};
}  // namespace

void Block::poison(const SharedArray& array) {
  std::fill_n(shared_ + array.begin, array.bytes, kSharedPoison);
  std::fill_n(shared_ + array.begin + array.bytes, kSharedGuard, kSharedGuardByte);
}

void* Block::shared_array(const void* tag, std::size_t bytes, std::size_t alignment, const char* name) {
  const auto known = std::ranges::find(arrays_, tag, &SharedArray::tag);
  if (known != arrays_.end()) return shared_ + known->begin;
  std::size_t begin = arrays_.empty() ? 0 : arrays_.back().begin + arrays_.back().bytes + kSharedGuard;
  begin = (begin + alignment - 1) / alignment * alignment;
  std::size_t used = bytes;
  for (const SharedArray& array : arrays_) used += array.bytes;
  // Guards are ours; what counts is what the kernel asked for.
  if (used > kMostShared || begin + bytes + kSharedGuard > kArenaBytes) {
    throw Failure("more shared memory than a block has, for " + std::string(name), cudaErrorLaunchOutOfResources);
  }
  poison(arrays_.emplace_back(SharedArray{tag, begin, bytes, name}));
  return shared_ + begin;
}

void Block::check_shared() const {
  for (const SharedArray& array : arrays_) {
    const std::byte* guard = shared_ + array.begin + array.bytes;
    if (std::any_of(guard, guard + kSharedGuard, [](std::byte byte) { return byte != kSharedGuardByte; })) {
      throw Failure("a block writes behind the end of " + std::string(array.name));
    }
  }
}

std::uint64_t meet(Meeting meeting, unsigned mask, std::uint64_t value, int source, const Place& place) {
  return Block::of_this_thread().meet(meeting, mask, value, source, place);
}
void* shared_array(const void* tag, std::size_t bytes, std::size_t alignment, const char* name) {
  return Block::of_this_thread().shared_array(tag, bytes, alignment, name);
}

}  // namespace winnow::emulator
