// SHA-256 for contents and names, CRC-32 for damage. Plain values.
#pragma once

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

std::uint32_t crc32_of(std::span<const std::byte> bytes);

}  // namespace winnow
