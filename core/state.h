// The one way in which anything that must survive a stop is saved: named blocks, each with the type
// and shape of what is in it, which a reader must ask for as they are. Rewinding uses it in memory;
// checkpoints on disk will use it as it is. Not synchronised.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace winnow {

enum class BlockType : std::uint8_t { U8, I64, U64, F32, F64 };
const char* name_of(BlockType);  // "u8", ...
std::int64_t size_of(BlockType);

template <class T>
constexpr BlockType block_type() {
  if constexpr (std::same_as<T, std::uint8_t>) {
    return BlockType::U8;
  } else if constexpr (std::same_as<T, std::int64_t>) {
    return BlockType::I64;
  } else if constexpr (std::same_as<T, std::uint64_t>) {
    return BlockType::U64;
  } else if constexpr (std::same_as<T, float>) {
    return BlockType::F32;
  } else {
    static_assert(std::same_as<T, double>, "a type that saved state does not have");
    return BlockType::F64;
  }
}

struct Block {
  BlockType type = BlockType::U8;
  Shape shape;
  std::span<const std::byte> bytes;  // row-major; shape and type say how many
};

class StateWriter {
 public:
  virtual ~StateWriter() = default;
  virtual void put(std::string_view key, const Block& block) = 0;  // a second one of this key replaces the first
  template <class T>
  void put_values(std::string_view key, std::span<const T> values, const Shape& shape) {
    put(key, {block_type<T>(), shape, std::as_bytes(values)});
  }
  template <class T>
  void put_values(std::string_view key, std::span<const T> values) {
    put_values(key, values, Shape{static_cast<std::int64_t>(values.size())});
  }
  template <class T>
  void put_value(std::string_view key, const T& value) {
    put_values(key, std::span(&value, 1), Shape{});
  }
  void put_text(std::string_view key, std::string_view text);
};

// Every get is an Error{Input} naming the key if it is missing, or if type or shape are others.
class StateReader {
 public:
  virtual ~StateReader() = default;
  virtual Block get(std::string_view key) = 0;
  template <class T>
  void get_values(std::string_view key, std::span<T> out, const Shape& shape) {
    get_into(key, block_type<T>(), shape, std::as_writable_bytes(out));
  }
  template <class T>
  void get_values(std::string_view key, std::span<T> out) {
    get_values(key, out, Shape{static_cast<std::int64_t>(out.size())});
  }
  template <class T>
  T get_value(std::string_view key) {
    T value;
    get_values(key, std::span(&value, 1), Shape{});
    return value;
  }
  // Values in one row, as many as were saved.
  template <class T>
  std::vector<T> get_list(std::string_view key) {
    std::vector<T> values(static_cast<std::size_t>(row_length(key)));
    get_values(key, std::span(values));
    return values;
  }
  std::string get_text(std::string_view key);
  virtual std::vector<std::string> unread() const = 0;  // keys nobody asked for

 private:
  void get_into(std::string_view key, BlockType type, const Shape& shape, std::span<std::byte> out);
  std::int64_t row_length(std::string_view key);
};

// Puts "<prefix>/" before every key, so that parts of a whole need not know of each other. Borrow.
class PrefixWriter final : public StateWriter {
 public:
  PrefixWriter(StateWriter& out, std::string_view prefix) : out_(out), prefix_(std::string(prefix) + "/") {}
  void put(std::string_view key, const Block& block) override { out_.put(prefix_ + std::string(key), block); }

 private:
  StateWriter& out_;
  std::string prefix_;
};

class PrefixReader final : public StateReader {
 public:
  PrefixReader(StateReader& in, std::string_view prefix) : in_(in), prefix_(std::string(prefix) + "/") {}
  Block get(std::string_view key) override { return in_.get(prefix_ + std::string(key)); }
  std::vector<std::string> unread() const override;

 private:
  StateReader& in_;
  std::string prefix_;
};

// Both, in memory.
class MemoryState final : public StateWriter, public StateReader {
 public:
  void put(std::string_view key, const Block& block) override;
  Block get(std::string_view key) override;
  std::vector<std::string> unread() const override;
  void copy_to(StateWriter& out) const;  // all blocks
  bool operator==(const MemoryState& other) const { return blocks_ == other.blocks_; }

 private:
  struct Stored {
    BlockType type;
    Shape shape;
    std::vector<std::byte> bytes;
    bool operator==(const Stored&) const = default;
  };
  std::map<std::string, Stored, std::less<>> blocks_;
  std::map<std::string, bool, std::less<>> read_;
};

}  // namespace winnow
