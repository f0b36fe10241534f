#include "core/state_bytes.h"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "core/error.h"

namespace winnow {
namespace {

static_assert(std::endian::native == std::endian::little, "saved state is little-endian");

constexpr std::string_view kStateMagic = "winnow state 1\n";

template <class T>
void append_value(std::vector<std::byte>& bytes, T value) {
  const auto raw = std::as_bytes(std::span(&value, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

void append_text(std::vector<std::byte>& bytes, std::string_view text) {
  const auto raw = std::as_bytes(std::span(text));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

constexpr std::uint64_t kMostBytes = std::numeric_limits<std::int64_t>::max() / 8;

class BytesReader {
 public:
  BytesReader(std::span<const std::byte> bytes, const std::string& label) : left_(bytes), label_(label) {}

  bool at_end() const { return left_.empty(); }
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > left_.size()) damaged("ends within a block");
    const auto taken = left_.first(static_cast<std::size_t>(count));
    left_ = left_.subspan(static_cast<std::size_t>(count));
    return taken;
  }
  template <class T>
  T value() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view text(std::uint64_t length) {
    const auto raw = take(length);
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }
  [[noreturn]] void damaged(const char* what) const {
    fail(ErrorKind::Input, "{}: is no saved state of winnow ({})", label_, what);
  }

 private:
  std::span<const std::byte> left_;
  const std::string& label_;
};

Shape read_shape(BytesReader& in, std::uint64_t bytes_an_element, std::uint64_t& bytes) {
  const auto rank = in.value<std::uint8_t>();
  if (rank > Shape::kMaxRank) in.damaged("has a block of too many dimensions");
  std::vector<std::int64_t> extents;
  bytes = bytes_an_element;
  for (int d = 0; d < rank; ++d) {
    const auto extent = in.value<std::uint64_t>();
    if (extent > kMostBytes || (extent > 0 && bytes > kMostBytes / extent)) in.damaged("has a block without end");
    bytes *= extent;
    extents.push_back(static_cast<std::int64_t>(extent));
  }
  return Shape(extents);
}

// Calls `each` with the name and the content of every block.
void scan_blocks(std::span<const std::byte> bytes, const std::string& label, auto&& each) {
  BytesReader in(bytes, label);
  if (in.text(std::min<std::size_t>(kStateMagic.size(), bytes.size())) != kStateMagic) in.damaged("begins otherwise");
  while (!in.at_end()) {
    const std::string_view key = in.text(in.value<std::uint32_t>());
    const auto type = in.value<std::uint8_t>();
    if (type > static_cast<std::uint8_t>(BlockType::F64)) in.damaged("has a block of an unknown type");
    const auto block_type = static_cast<BlockType>(type);
    std::uint64_t size = 0;
    const Shape shape = read_shape(in, static_cast<std::uint64_t>(size_of(block_type)), size);
    each(key, Block{block_type, shape, in.take(size)});
  }
}

}  // namespace

BytesWriter::BytesWriter() {
  for (const char c : kStateMagic) bytes_.push_back(static_cast<std::byte>(c));
}

void BytesWriter::put(std::string_view key, const Block& block) {
  append_value(bytes_, static_cast<std::uint32_t>(key.size()));
  append_text(bytes_, key);
  append_value(bytes_, static_cast<std::uint8_t>(block.type));
  append_value(bytes_, static_cast<std::uint8_t>(block.shape.rank()));
  for (int d = 0; d < block.shape.rank(); ++d) append_value(bytes_, static_cast<std::uint64_t>(block.shape[d]));
  bytes_.insert(bytes_.end(), block.bytes.begin(), block.bytes.end());
}

std::vector<std::byte> BytesWriter::take() { return std::exchange(bytes_, {}); }

std::vector<std::byte> bytes_of(const MemoryState& state) {
  BytesWriter writer;
  state.copy_to(writer);
  return writer.take();
}

void add_blocks(MemoryState& state, std::span<const std::byte> bytes, const std::string& label) {
  scan_blocks(bytes, label, [&](std::string_view key, const Block& block) { state.put(key, block); });
}

BytesBlocks::BytesBlocks(std::span<const std::byte> bytes, const std::string& label) {
  scan_blocks(bytes, label, [&](std::string_view key, const Block& block) { blocks_[key] = {block}; });
}

Block BytesBlocks::get(std::string_view key) {
  const auto found = blocks_.find(key);
  if (found == blocks_.end()) fail(ErrorKind::Input, "saved state has no '{}'", key);
  found->second.read = true;
  return found->second.block;
}

std::vector<std::string> BytesBlocks::unread() const {
  std::vector<std::string> keys;
  for (const auto& [key, seen] : blocks_) {
    if (!seen.read) keys.emplace_back(key);
  }
  return keys;
}

}  // namespace winnow
