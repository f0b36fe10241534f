// SHA-256 for contents, names and seeds, SHA-1 for files whose authors give no other, CRC-32 for damage. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace winnow {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);  // with its length, so that "ab","c" and "a","bc" differ
  std::string hex();                   // ends the computation

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Of these bytes alone, without their length.
std::array<unsigned char, 32> sha256_of(std::string_view text);
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha1_hex(std::span<const std::byte> bytes);

// Of `bytes` behind others, of which it was `before`.
std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace winnow
