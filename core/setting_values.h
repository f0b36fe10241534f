// Settings as a trial carries them: canonical texts by key, read back as typed values. Copies share
// their storage until one of them is changed. Plain values; a const Settings may be shared between threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace winnow {

// A length of training: steps as they are, epochs times the steps of an epoch.
struct Length {
  std::int64_t count = 0;
  bool epochs = false;
  std::int64_t steps(std::int64_t steps_per_epoch) const { return epochs ? count * steps_per_epoch : count; }
};

class Settings {
 public:
  using Values = std::map<std::string, std::string, std::less<>>;

  Settings() = default;
  explicit Settings(const Values& values);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const std::string* find(std::string_view key) const;  // null if absent
  // Each throws Error{Settings} naming the key if it is absent or its text has another type.
  const std::string& text(std::string_view key) const;
  bool flag(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;
  Length length(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;
  std::vector<double> reals(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;
  std::vector<Length> lengths(std::string_view key) const;
  std::vector<std::pair<std::string, double>> named_reals(std::string_view key) const;

  void set(std::string_view key, std::string text);
  void erase(std::string_view key);
  // The settings whose key starts with `prefix` + ".", with that removed.
  Settings below(std::string_view prefix) const;
  Values values() const;
  std::size_t size() const { return entries_ ? entries_->size() : 0; }
  bool operator==(const Settings& other) const;

 private:
  struct Entry {
    std::string key, text;
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry>& own();  // the entries for this object alone

  std::shared_ptr<std::vector<Entry>> entries_;  // by key; null: empty. Shared ones are never written to
};

}  // namespace winnow
