#include "core/state.h"

#include "core/error.h"

namespace winnow {

void StateReader::get_into(std::string_view key, std::span<std::byte> out) {
  const std::span<const std::byte> block = get(key);
  if (block.size() != out.size()) {
    fail(ErrorKind::Input, "saved state '{}' has {} bytes, {} are expected", key, block.size(), out.size());
  }
  if (!out.empty()) std::memcpy(out.data(), block.data(), out.size());
}

void MemoryState::put(std::string_view key, std::span<const std::byte> value) {
  blocks_.insert_or_assign(std::string(key), std::vector<std::byte>(value.begin(), value.end()));
  read_.insert_or_assign(std::string(key), false);
}

std::span<const std::byte> MemoryState::get(std::string_view key) {
  const auto found = blocks_.find(key);
  if (found == blocks_.end()) fail(ErrorKind::Input, "saved state has no '{}'", key);
  read_.find(key)->second = true;
  return found->second;
}

std::vector<std::string> MemoryState::unread() const {
  std::vector<std::string> keys;
  for (const auto& [key, was_read] : read_) {
    if (!was_read) keys.push_back(key);
  }
  return keys;
}

}  // namespace winnow
