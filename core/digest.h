// FNV-1a on 64 bits: a change of any word changes the sum, which is all that a comparison between ranks needs. A plain
// value; no cryptography.
#pragma once

#include <cstdint>
#include <span>

namespace winnow {

class Digest {
 public:
  void add(std::uint64_t word) { hash_ = (hash_ ^ word) * 1099511628211ull; }
  // The length, and each element as a word.
  template <class T>
  void add(std::span<const T> elements) {
    add(std::uint64_t{elements.size()});
    for (const T element : elements) add(static_cast<std::uint64_t>(element));
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 14695981039346656037ull;
};

}  // namespace winnow
