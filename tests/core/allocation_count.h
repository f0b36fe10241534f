// Counts heap allocations of all threads, by C++ and by C code: the test program replaces
// malloc and its kin.
#pragma once

#include <cstddef>

namespace winnow::test {

bool counts_allocations();  // false under a sanitizer, which replaces malloc itself
std::size_t allocation_count();
// Those of at least kBufferBytes: oneDNN makes small argument lists at every call, but no buffers.
inline constexpr std::size_t kBufferBytes = 2048;
std::size_t buffer_allocation_count();

}  // namespace winnow::test
