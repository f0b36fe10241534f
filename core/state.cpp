#include "core/state.h"

#include <cstring>

#include "core/error.h"

namespace winnow {

const char* name_of(BlockType type) {
  switch (type) {
    case BlockType::U8:
      return "u8";
    case BlockType::I64:
      return "i64";
    case BlockType::U64:
      return "u64";
    case BlockType::F32:
      return "f32";
    default:
      return "f64";
  }
}

std::int64_t size_of(BlockType type) {
  if (type == BlockType::U8) return 1;
  return type == BlockType::F32 ? 4 : 8;
}

void StateWriter::put_text(std::string_view key, std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  put_values(key, std::span(bytes, text.size()));
}

std::string StateReader::get_text(std::string_view key) {
  const std::vector<std::uint8_t> bytes = get_list<std::uint8_t>(key);
  return {bytes.begin(), bytes.end()};
}

void StateReader::get_into(std::string_view key, BlockType type, const Shape& shape, std::span<std::byte> out) {
  const Block block = get(key);
  if (block.type != type || block.shape != shape || block.bytes.size() != out.size()) {
    fail(ErrorKind::Input, "saved state '{}' is {} {}, expected is {} {}", key, name_of(block.type), block.shape.text(),
         name_of(type), shape.text());
  }
  if (!out.empty()) std::memcpy(out.data(), block.bytes.data(), out.size());
}

std::int64_t StateReader::row_length(std::string_view key) {
  const Shape shape = get(key).shape;
  if (shape.rank() != 1) fail(ErrorKind::Input, "saved state '{}' is {}, expected is one row", key, shape.text());
  return shape[0];
}

std::vector<std::string> PrefixReader::unread() const {
  std::vector<std::string> keys;
  for (const std::string& key : in_.unread()) {
    if (key.starts_with(prefix_)) keys.push_back(key.substr(prefix_.size()));
  }
  return keys;
}

void MemoryState::put(std::string_view key, const Block& block) {
  if (block.bytes.size() != static_cast<std::size_t>(block.shape.numel() * size_of(block.type))) {
    fail(ErrorKind::Internal, "state '{}' of {} {} has {} bytes", key, name_of(block.type), block.shape.text(),
         block.bytes.size());
  }
  blocks_.insert_or_assign(std::string(key), Stored{block.type, block.shape, {block.bytes.begin(), block.bytes.end()}});
  read_.insert_or_assign(std::string(key), false);
}

Block MemoryState::get(std::string_view key) {
  const auto found = blocks_.find(key);
  if (found == blocks_.end()) fail(ErrorKind::Input, "saved state has no '{}'", key);
  read_.find(key)->second = true;
  return {found->second.type, found->second.shape, found->second.bytes};
}

std::vector<std::string> MemoryState::unread() const {
  std::vector<std::string> keys;
  for (const auto& [key, was_read] : read_) {
    if (!was_read) keys.push_back(key);
  }
  return keys;
}

void MemoryState::copy_to(StateWriter& out) const {
  for (const auto& [key, stored] : blocks_) out.put(key, {stored.type, stored.shape, stored.bytes});
}

}  // namespace winnow
