#include "tests/emulator/library.h"

#include <cstring>

#include "tests/emulator/machine.h"

namespace winnow::emulator {

void expect_memory(const std::vector<Extent>& extents, int device) {
  const Memory& memory = Machine::instance().memory;
  const auto end = [](const Extent& of) { return static_cast<const std::byte*>(of.at) + of.bytes; };
  for (const Extent& one : extents) {
    if (one.bytes == 0) continue;
    const std::string name(one.name);
    const Memory::Allocation* holder = memory.holder(one.at, one.bytes);
    if (holder == nullptr || holder->device != device) {
      throw Failure(name + ": not " + std::to_string(one.bytes) + " live bytes of this device",
                    cudaErrorIllegalAddress);
    }
    for (const Extent& other : extents) {
      const bool apart = end(one) <= other.at || end(other) <= one.at;
      if (one.written && &one != &other && !apart) throw Failure(name + " overlaps " + other.name);
    }
  }
}

void poison(void* at, std::size_t bytes) {
  if (bytes > 0) std::memset(at, 0xff, bytes);
}

std::vector<float> floats(const void* at, std::size_t count, DType type) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = type == DType::BF16 ? to_float(static_cast<const bf16*>(at)[i]) : static_cast<const float*>(at)[i];
  }
  return values;
}

void store(void* at, std::size_t i, DType type, float value) {
  if (type == DType::F32) static_cast<float*>(at)[i] = value;
  if (type == DType::BF16) static_cast<bf16*>(at)[i] = from_float<bf16>(value);
}

}  // namespace winnow::emulator
