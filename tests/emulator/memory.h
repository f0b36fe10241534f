// Memory of the emulated devices, and pinned memory of the host. An allocation has pages of its own between guard pages and ends as
// near to the one behind it as 256-byte alignment allows; what is left of its pages holds canaries. Those of devices may be touched
// only while open, and where the processor has protection keys by the thread that opened them. What was freed is never given out
// again, so a stale pointer faults. Owned and locked by Machine.
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace winnow::emulator {

class Memory {
 public:
  static constexpr std::size_t kAlignment = 256;
  static constexpr int kHost = -1;  // where pinned memory is, which is always open

  struct Allocation {
    std::byte* pages;  // between the guard pages
    std::size_t page_bytes;
    std::byte* begin;
    std::size_t bytes;
    int device;
    bool live;
    const std::byte* end() const { return begin + bytes; }
  };

  Memory();
  ~Memory();

  // Filled with 0xff. Null where the host has none.
  void* allocate(int device, std::size_t bytes);
  // The live allocation that begins here, or null.
  const Allocation* beginning(const void* at) const;
  // What holds this address or has it in a guard page, live or freed; or null.
  const Allocation* around(const void* at) const;
  void free(const Allocation& allocation);
  // The live allocation in which all the bytes lie, or null.
  const Allocation* holder(const void* at, std::size_t bytes) const;
  std::size_t used(int device) const;  // live bytes, rounded as they are given out
  std::size_t live() const;            // allocations on devices

  // Whether memory of devices may be touched.
  void set_open(bool open);
  // What is wrong with canaries of the device; empty if nothing is. Open memory.
  std::string damage(int device) const;
  void clear();

 private:
  // A protection key of all pages, which a thread opens and closes by an instruction. -1: there is none, and each allocation is
  // opened and closed by a system call.
  const int key_;
  std::map<const std::byte*, Allocation> allocations_;  // by first guard page
  bool open_ = false;
};

}  // namespace winnow::emulator
