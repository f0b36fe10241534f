#include "tests/emulator/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

namespace winnow::emulator {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::byte kCanary{0xca}, kFresh{0xff};

std::size_t rounded(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

bool all_canaries(const std::byte* begin, const std::byte* end) {
  return std::all_of(begin, end, [](std::byte byte) { return byte == kCanary; });
}

}  // namespace

Memory::Memory() : key_(pkey_alloc(0, PKEY_DISABLE_ACCESS)) {}
Memory::~Memory() {
  clear();
  if (key_ >= 0) pkey_free(key_);
}

void Memory::clear() {
  for (const auto& [guard, allocation] : allocations_) {
    munmap(allocation.pages - kPage, allocation.page_bytes + 2 * kPage);
  }
  allocations_.clear();
  set_open(false);
}

void* Memory::allocate(int device, std::size_t bytes) {
  const std::size_t page_bytes = rounded(bytes, kPage);
  void* mapped = mmap(nullptr, page_bytes + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* guard = static_cast<std::byte*>(mapped);
  std::byte* pages = guard + kPage;
  std::byte* begin = pages + page_bytes - rounded(bytes, kAlignment);
  mprotect(pages, page_bytes, PROT_READ | PROT_WRITE);
  std::fill(pages, begin, kCanary);
  std::fill(begin, begin + bytes, kFresh);
  std::fill(begin + bytes, pages + page_bytes, kCanary);
  if (device != kHost && key_ >= 0) pkey_mprotect(pages, page_bytes, PROT_READ | PROT_WRITE, key_);
  if (device != kHost && key_ < 0 && !open_) mprotect(pages, page_bytes, PROT_NONE);
  allocations_[guard] = {pages, page_bytes, begin, bytes, device, true};
  return begin;
}

const Memory::Allocation* Memory::around(const void* at) const {
  const auto* byte = static_cast<const std::byte*>(at);
  auto next = allocations_.upper_bound(byte);
  if (next == allocations_.begin()) return nullptr;
  const Allocation& found = std::prev(next)->second;
  return byte < found.pages + found.page_bytes + kPage ? &found : nullptr;
}

const Memory::Allocation* Memory::beginning(const void* at) const {
  const Allocation* found = around(at);
  return found != nullptr && found->live && found->begin == at ? found : nullptr;
}

const Memory::Allocation* Memory::holder(const void* at, std::size_t bytes) const {
  const Allocation* found = around(at);
  const auto* first = static_cast<const std::byte*>(at);
  const bool holds = found != nullptr && found->live && first >= found->begin && first <= found->end() &&
                     bytes <= static_cast<std::size_t>(found->end() - first);
  return holds ? found : nullptr;
}

void Memory::free(const Allocation& allocation) {
  // A fresh mapping gives the pages back and keeps the addresses.
  mmap(allocation.pages, allocation.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
       0);
  allocations_.at(allocation.pages - kPage).live = false;
}

std::size_t Memory::used(int device) const {
  std::size_t sum = 0;
  for (const auto& [guard, allocation] : allocations_) {
    if (allocation.live && allocation.device == device) sum += rounded(allocation.bytes, kAlignment);
  }
  return sum;
}

std::size_t Memory::live() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      allocations_, [](const auto& entry) { return entry.second.live && entry.second.device != kHost; }));
}

void Memory::set_open(bool open) {
  if (open == open_) return;
  open_ = open;
  if (key_ >= 0) {
    pkey_set(key_, open ? 0 : PKEY_DISABLE_ACCESS);
    return;
  }
  for (const auto& [guard, allocation] : allocations_) {
    if (allocation.live && allocation.device != kHost) {
      mprotect(allocation.pages, allocation.page_bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
  }
}

std::string Memory::damage(int device) const {
  for (const auto& [guard, allocation] : allocations_) {
    if (!allocation.live || allocation.device != device) continue;
    const char* where = !all_canaries(allocation.pages, allocation.begin)                           ? "before"
                        : !all_canaries(allocation.end(), allocation.pages + allocation.page_bytes) ? "behind"
                                                                                                    : nullptr;
    if (where == nullptr) continue;
    return "something was written " + std::string(where) + " an allocation of " + std::to_string(allocation.bytes) +
           " bytes";
  }
  return {};
}

}  // namespace winnow::emulator
