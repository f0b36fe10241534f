// Typed settings: what a method, model, data set or the trainer can be told, declared once (Schema)
// and used for checking sweep files, for `winnow methods` and `explain`, for docs/methods.md and for
// a trial's identity. Every value has one spelling (0.1, 1e-1 and 0.10000000000000001 are "0.1"), and
// by that it is compared and hashed. Plain values; a const Schema may be shared between threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/setting_values.h"

namespace winnow {

struct Range {
  double low, high;
  bool low_open = false, high_open = false;
  bool contains(double value) const {
    return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
  }
  std::string text() const;  // "(0, 1]"
};

// Something about another setting of the same schema: it has one of these values (canonical texts),
// or none of them. Does not hold for a setting that is itself not read.
struct Condition {
  std::string key;
  std::vector<std::string> values;
  bool one_of = true;
};
Condition where(std::string key, std::vector<std::string> values);   // the setting is one of the values
Condition unless(std::string key, std::vector<std::string> values);  // it is none of them
// One of the alternatives, of each of which all conditions hold; none: always.
using ReadWhen = std::vector<std::vector<Condition>>;

// The part of a training run into which a length must fit to have an effect.
struct Span {
  // Settings of the same schema, lengths or shares of training; empty: the beginning and the end of the run.
  std::string from = {}, until = {};
  bool with_end = false;  // it may fall on the end of the run, behind the last step
};

// Kinds and their canonical text: Bool "true"; Int "3"; Real "0.1", the shortest text of the number;
// Text free; Choice one of `choices`; Length "160ep" or "30000it" (a plain integer takes the unit
// of the default, else epochs: "160" becomes "160ep", but "500it" where the default is "100it");
// lists "[80, 120]" of such items; NamedReals "[conv1=0.5, last=0.2]"; Path text in which $NAME is
// expanded when it is used; Trial the name of another trial of the sweep, which has to be done first.
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
    NamedReals,
    Path,
    Trial
  };
  std::string key;
  Kind kind = Kind::Real;
  std::optional<std::string> fallback;  // canonical text of the default; nothing: the setting is required
  std::optional<Range> range = {};      // for numbers, and for each item of a list of numbers
  std::vector<std::string> choices = {};
  std::string unit = {};
  std::string meaning = {};
  std::string source = {};  // paper, code or "ours: reason"
  // Where the value follows from other settings if it is not given: its text, or an empty text for
  // the default. A value that follows is no part of a trial's identity.
  std::function<std::string(const Settings& resolved)> derive = {};
  bool is_set = false;  // a list whose order means nothing: kept ascending, and no item is twice in it
  // A value that is given and not read is left out of a trial's identity: it would only name the same experiment anew.
  ReadWhen read_when = {};
  std::optional<Span> span = {};  // for lengths: where it can act
  // In a trial where another component puts something in its place: who does, in words. Nobody reads it then. Said by
  // whoever puts a trial together, in a copy of the schema.
  std::string overridden = {};
};
using Schema = std::vector<Setting>;

const char* name_of(Setting::Kind);
bool is_list(Setting::Kind);
const Setting* find_setting(const Schema& schema, std::string_view key);  // null if there is none

// Whether the condition, on a setting of `schema`, holds for these resolved settings.
bool holds(const Schema& schema, const Condition& condition, const Settings& resolved);
// Whether somebody reads `setting` of `schema` in a trial of these resolved settings.
bool is_read(const Schema& schema, const Setting& setting, const Settings& resolved);
// "optimizer is sgd and momentum is not 0"; each key after `prefix`. Empty: always.
std::string conditions_text(const ReadWhen& alternatives, std::string_view prefix = {});
std::string read_when_text(const Setting& setting, std::string_view prefix = {});

// A problem with one key, without a place: the sweep reader adds file:line:column.
struct SettingProblem {
  std::string key;
  std::string text;  // "must be in (0, 1], is 1.5"; "unknown key; did you mean 'density'?"
};

// Checks `given` against `schema` (unknown keys with the nearest name, types, ranges, choices,
// missing required keys), fills in defaults, and gives a setting that is not read its default too.
// Problems are appended; the result is usable if there are none.
Settings resolve(const Schema& schema, const Settings& given, std::vector<SettingProblem>& problems);
// The same for code that has no file to point at: the first problem is thrown as Error{Settings}.
Settings resolve(const Schema& schema, const Settings& given);
// Whether a resolved value is what the setting would have been had it not been given.
bool is_default(const Setting& setting, const Settings& resolved);

std::string in_small_letters(std::string_view word);
// The entry of `names` nearest to `word` by edit distance, if it is near enough to suggest.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names);
// "did you mean 'density'?" after `before`, or nothing where no name is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& names, std::string_view before = {});

}  // namespace winnow
