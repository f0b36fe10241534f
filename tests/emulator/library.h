// What the stand-ins of libraries (fake_*.cpp) share. Memory is looked at when the device would touch it: expect_memory() and
// what follows is for work that runs, with the machine locked.
#pragma once

#include <vector>

#include "kernels/portable.h"
#include "tests/emulator/work.h"

namespace winnow::emulator {

// Thrown inside a call of a library, which returns the code.
template <class Code>
struct Refusal {
  Code code;
  std::string text;
};
template <class Code>
void require(bool holds, Code otherwise, const std::string& text = {}) {
  if (!holds) throw Refusal<Code>{otherwise, text};
}
inline bool is_aligned(const void* at, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(at) % bytes == 0; }

struct Extent {
  const char* name;
  const void* at;
  std::size_t bytes;
  bool written = false;
};
// Throws Failure unless all of them lie in live memory of the device, and none that is written overlaps another one.
void expect_memory(const std::vector<Extent>& extents, int device);
// Before and after a workspace is used, so that nothing is kept there.
void poison(void* at, std::size_t bytes);

// An array of f32 or bf16 as f32; and one of its numbers to be set, rounded.
std::vector<float> floats(const void* at, std::size_t count, DType type);
void store(void* at, std::size_t i, DType type, float value);

}  // namespace winnow::emulator
