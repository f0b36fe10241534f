#include "tests/core/allocation_count.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {
std::atomic<std::size_t> count{0}, buffers{0};
}  // namespace

#if WINNOW_COUNTS_ALLOCATIONS

namespace {
void note(std::size_t bytes) {
  ++count;
  if (bytes >= winnow::test::kBufferBytes) ++buffers;
}
}  // namespace

// glibc's own entry points, under the names it exports for replacements like these. operator new calls malloc.
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) {
  note(bytes);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t items, std::size_t bytes) {
  note(items * bytes);
  return __libc_calloc(items, bytes);
}
void* realloc(void* block, std::size_t bytes) {
  note(bytes);
  return __libc_realloc(block, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  note(bytes);
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) {
  *block = memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}
}

#endif

namespace winnow::test {
std::size_t allocation_count() { return count; }
std::size_t buffer_allocation_count() { return buffers; }
}  // namespace winnow::test
