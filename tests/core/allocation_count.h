// Counts heap allocations of all threads, by C++ and by C code: the test program replaces malloc and its kin.
#pragma once

#include <cstdlib>  // tells glibc apart

// Under a sanitizer, which replaces malloc itself, there is nothing to count, and no test of it.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WINNOW_COUNTS_ALLOCATIONS 1
#else
#define WINNOW_COUNTS_ALLOCATIONS 0
#endif

namespace winnow::test {

std::size_t allocation_count();
// Those of at least kBufferBytes: oneDNN makes small argument lists at every call, but no buffers.
inline constexpr std::size_t kBufferBytes = 2048;
std::size_t buffer_allocation_count();

}  // namespace winnow::test
