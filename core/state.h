// The one way in which anything that must survive a stop is saved: named blocks of bytes. Rewinding
// uses it in memory now; checkpoints on disk will use it as it is.
#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

class StateWriter {
 public:
  virtual ~StateWriter() = default;
  virtual void put(std::string_view key, std::span<const std::byte> value) = 0;
  template <class T>
  void put_values(std::string_view key, std::span<const T> values) {
    put(key, std::as_bytes(values));
  }
  template <class T>
  void put_value(std::string_view key, const T& value) {
    put(key, std::as_bytes(std::span(&value, 1)));
  }
};

class StateReader {
 public:
  virtual ~StateReader() = default;
  virtual std::span<const std::byte> get(std::string_view key) = 0;  // Error{Input} if missing
  void get_into(std::string_view key,
                std::span<std::byte> out);  // Error{Input} if the size differs
  template <class T>
  void get_values(std::string_view key, std::span<T> out) {
    get_into(key, std::as_writable_bytes(out));
  }
  template <class T>
  T get_value(std::string_view key) {
    T value;
    get_values(key, std::span(&value, 1));
    return value;
  }
  virtual std::vector<std::string> unread() const = 0;  // keys nobody asked for
};

// Both, in memory.
class MemoryState final : public StateWriter, public StateReader {
 public:
  void put(std::string_view key, std::span<const std::byte> value) override;
  std::span<const std::byte> get(std::string_view key) override;
  std::vector<std::string> unread() const override;
  bool empty() const { return blocks_.empty(); }
  bool operator==(const MemoryState& other) const { return blocks_ == other.blocks_; }

 private:
  std::map<std::string, std::vector<std::byte>, std::less<>> blocks_;
  std::map<std::string, bool, std::less<>> read_;
};

}  // namespace winnow
