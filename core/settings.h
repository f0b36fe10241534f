// Typed settings: what a method, model, data set or the trainer can be told, declared once (Schema)
// and used for checking sweep files, for `winnow methods`, for docs/methods.md and for a trial's
// identity. Values are kept as canonical text (0.1 stays "0.1"), since text is what identifies a
// trial. Plain values; a const Settings may be shared between threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

class Settings;

struct Range {
  double low, high;
  bool low_open = false, high_open = false;
  bool contains(double value) const {
    return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
  }
  std::string text() const;  // "(0, 1]"
};

// Kinds and their canonical text: Bool "true"; Int "3"; Real "0.1" (as the user wrote it, trimmed);
// Text free; Choice one of `choices`; Length "160ep" or "30000it" (a plain integer takes the unit
// of the default, else epochs: "160" becomes "160ep", but "500it" where the default is "100it");
// lists "[80, 120]" of such items; Path text in which $NAME is expanded when it is used.
struct Setting {
  enum class Kind : std::uint8_t {
    Bool,
    Int,
    Real,
    Text,
    Choice,
    Length,
    IntList,
    RealList,
    TextList,
    LengthList,
    Path
  };
  std::string key;
  Kind kind = Kind::Real;
  std::optional<std::string> fallback;  // canonical text of the default; nothing: the setting is required
  std::optional<Range> range = {};      // for numbers, and for each item of a list of numbers
  std::vector<std::string> choices = {};
  std::string unit = {};
  std::string meaning = {};
  std::string source = {};  // paper, code or "ours: reason"
  // Where the value follows from other settings if it is not given: its canonical text, or an empty
  // text for the default. A value that follows is no part of a trial's identity.
  std::function<std::string(const Settings& resolved)> derive = {};
};
using Schema = std::vector<Setting>;

const char* name_of(Setting::Kind);

// A length of training: steps as they are, epochs times the steps of an epoch.
struct Length {
  std::int64_t count = 0;
  bool epochs = false;
  std::int64_t steps(std::int64_t steps_per_epoch) const { return epochs ? count * steps_per_epoch : count; }
};

class Settings {
 public:
  Settings() = default;
  explicit Settings(std::map<std::string, std::string, std::less<>> values) : values_(std::move(values)) {}

  bool has(std::string_view key) const;
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

  void set(std::string key, std::string text) { values_[std::move(key)] = std::move(text); }
  // The settings whose key starts with `prefix` + ".", with that removed.
  Settings below(std::string_view prefix) const;
  const std::map<std::string, std::string, std::less<>>& values() const { return values_; }
  bool operator==(const Settings&) const = default;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

// A problem with one key, without a place: the sweep reader adds file:line:column.
struct SettingProblem {
  std::string key;
  std::string text;  // "must be in (0, 1], is 1.5"; "unknown key; did you mean 'density'?"
};

// Checks `given` against `schema` (unknown keys with the nearest name, types, ranges, choices,
// missing required keys) and fills in defaults. Problems are appended; the result is usable if there are none.
Settings resolve(const Schema& schema, const Settings& given, std::vector<SettingProblem>& problems);
// The same for code that has no file to point at: the first problem is thrown as Error{Settings}.
Settings resolve(const Schema& schema, const Settings& given);

// The entry of `names` nearest to `word` by edit distance, if it is near enough to suggest.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace winnow
