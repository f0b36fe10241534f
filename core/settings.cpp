#include "core/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

constexpr std::string_view kSpace = " \t";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (!all_digits(text.starts_with('-') ? text.substr(1) : text)) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A decimal number taken apart as text, so that no digit the user wrote passes through a double.
struct Decimal {
  bool negative = false;
  std::string digits;         // without leading or trailing zeros; empty: zero
  std::int64_t exponent = 0;  // value = 0.digits * 10^exponent
};

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal number;
  if (text.starts_with('-') || text.starts_with('+')) {
    number.negative = text.front() == '-';
    text.remove_prefix(1);
  }
  std::int64_t power = 0;
  if (const std::size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    const auto parsed = parse_integer(text.substr(e + 1));
    if (!parsed || std::abs(*parsed) > 400) return std::nullopt;
    power = *parsed;
    text = text.substr(0, e);
  }
  const std::size_t point = text.find('.');
  const std::string whole(text.substr(0, point));
  const std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  if (!all_digits(whole + fraction)) return std::nullopt;
  number.digits = whole + fraction;
  number.exponent = static_cast<std::int64_t>(whole.size()) + power;
  const std::size_t lead = std::min(number.digits.find_first_not_of('0'), number.digits.size());
  number.digits.erase(0, lead);
  number.exponent -= static_cast<std::int64_t>(lead);
  while (number.digits.ends_with('0')) number.digits.pop_back();
  return number;
}

// One spelling for each value: 1.0e-4, 1e-4 and 0.0001 are the same setting and must give the same trial.
std::string canonical_decimal(const Decimal& number) {
  if (number.digits.empty()) return "0";
  const std::string sign = number.negative ? "-" : "";
  const std::string& digits = number.digits;
  const auto count = static_cast<std::int64_t>(digits.size());
  const std::int64_t scientific = number.exponent - 1;
  if (scientific < -5 || scientific > 14) {
    const std::string fraction = count > 1 ? "." + digits.substr(1) : "";
    return sign + digits[0] + fraction + "e" + std::to_string(scientific);
  }
  if (number.exponent <= 0) {
    return sign + "0." + std::string(static_cast<std::size_t>(-number.exponent), '0') + digits;
  }
  if (number.exponent >= count) {
    return sign + digits + std::string(static_cast<std::size_t>(number.exponent - count), '0');
  }
  const auto split = static_cast<std::size_t>(number.exponent);
  return sign + digits.substr(0, split) + "." + digits.substr(split);
}

std::optional<double> parse_real(std::string_view text) {
  const auto number = parse_decimal(text);
  if (!number) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range && number->exponent <= 0) return 0.0;
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// `epochs` is the unit of a plain number.
std::optional<Length> parse_length(std::string_view text, bool epochs = true) {
  Length length{0, epochs};
  if (text.ends_with("it")) length.epochs = false;
  if (text.ends_with("ep")) length.epochs = true;
  if (text.ends_with("it") || text.ends_with("ep")) text = trim(text.substr(0, text.size() - 2));
  const auto count = parse_integer(text);
  if (!count || *count < 0) return std::nullopt;
  length.count = *count;
  return length;
}

// The items of "[a, b]"; a plain item is a list of one.
std::optional<std::vector<std::string>> parse_list(std::string_view text) {
  if (!text.starts_with('[')) return std::vector<std::string>{std::string(text)};
  if (!text.ends_with(']')) return std::nullopt;
  text = trim(text.substr(1, text.size() - 2));
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    items.emplace_back(trim(text.substr(0, comma)));
    if (items.back().empty()) return std::nullopt;
    text = comma == std::string_view::npos ? std::string_view{} : trim(text.substr(comma + 1));
  }
  return items;
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

using Kind = Setting::Kind;

std::optional<Kind> item_kind(Kind kind) {
  switch (kind) {
    case Kind::IntList:
      return Kind::Int;
    case Kind::RealList:
      return Kind::Real;
    case Kind::TextList:
      return Kind::Text;
    case Kind::LengthList:
      return Kind::Length;
    default:
      return std::nullopt;
  }
}

struct Canonical {
  std::string text;     // canonical value if `problem` is empty
  std::string problem;  // "must be ..., is ..."
};

Canonical must_be(std::string_view what, std::string_view is) {
  return {"", fmt::format("must be {}, is {}", what, is.empty() ? "empty" : is)};
}

Canonical check_range(const Setting& setting, double value, std::string text, std::string_view is) {
  if (setting.range && !setting.range->contains(value)) {
    return must_be("in " + setting.range->text(), is);
  }
  return {std::move(text), ""};
}

Canonical canonical_item(const Setting& setting, Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::Bool: {
      for (const std::string_view yes : {"true", "True", "TRUE"}) {
        if (text == yes) return {"true", ""};
      }
      for (const std::string_view no : {"false", "False", "FALSE"}) {
        if (text == no) return {"false", ""};
      }
      return must_be("true or false", text);
    }
    case Kind::Int: {
      const auto value = parse_integer(text);
      if (!value) return must_be("an integer", text);
      return check_range(setting, static_cast<double>(*value), std::to_string(*value), text);
    }
    case Kind::Real: {
      const auto value = parse_real(text);
      if (!value) return must_be("a number", text);
      return check_range(setting, *value, canonical_decimal(*parse_decimal(text)), text);
    }
    case Kind::Length: {
      // A setting whose default is in steps is thought of in steps: `delta_t: 500` is 500it.
      const std::string_view usual = setting.fallback ? *setting.fallback : std::string_view{};
      const bool epochs = usual.find("it") == std::string_view::npos;
      const auto value = parse_length(text, epochs);
      if (!value) return must_be("a length such as 160 (epochs), 160ep or 30000it", text);
      return check_range(setting, static_cast<double>(value->count),
                         std::to_string(value->count) + (value->epochs ? "ep" : "it"), text);
    }
    case Kind::Choice: {
      const auto& choices = setting.choices;
      if (std::find(choices.begin(), choices.end(), text) != choices.end()) {
        return {std::string(text), ""};
      }
      Canonical bad = must_be("one of " + joined(choices), text);
      if (const auto near = nearest(text, choices)) bad.problem += "; did you mean '" + *near + "'?";
      return bad;
    }
    default:
      // Identity is made of lines, so a line break inside a value would forge another key.
      for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20) return {"", "must not hold control characters"};
      }
      return {std::string(text), ""};
  }
}

Canonical canonical_value(const Setting& setting, std::string_view text) {
  text = trim(text);
  const auto kind = item_kind(setting.kind);
  if (!kind) return canonical_item(setting, setting.kind, text);
  const auto items = parse_list(text);
  if (!items) return must_be(fmt::format("a {}", name_of(setting.kind)), text);
  std::vector<std::string> canonical;
  for (const std::string& item : *items) {
    Canonical one = canonical_item(setting, *kind, item);
    if (!one.problem.empty()) return {"", "each item " + one.problem};
    canonical.push_back(std::move(one.text));
  }
  return {"[" + joined(canonical) + "]", ""};
}

[[noreturn]] void wrong_type(std::string_view key, const std::string& text, const char* wanted) {
  fail(ErrorKind::Settings, "setting '{}' is not {}: '{}'", key, wanted, text);
}

template <class T, class Parse>
T scalar(const Settings& settings, std::string_view key, const char* wanted, Parse parse) {
  const std::string& text = settings.text(key);
  const auto value = parse(trim(text));
  if (!value) wrong_type(key, text, wanted);
  return *value;
}

template <class T, class Parse>
std::vector<T> list(const Settings& settings, std::string_view key, const char* wanted, Parse parse) {
  const std::string& text = settings.text(key);
  const auto items = parse_list(trim(text));
  if (!items) wrong_type(key, text, wanted);
  std::vector<T> values;
  for (const std::string& item : *items) {
    const auto value = parse(item);
    if (!value) wrong_type(key, text, wanted);
    values.push_back(*value);
  }
  return values;
}

// Optimal string alignment: edits and swaps of neighbours, the usual slips of a hand.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

// "learning_rate" -> "lr".
std::string initials(std::string_view word) {
  std::string letters;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (i == 0 || word[i - 1] == '_' || word[i - 1] == '-') letters += word[i];
  }
  return letters;
}

// One is the other written short: initials, or a beginning of at least three letters.
bool abbreviates(std::string_view shorter, std::string_view longer) {
  if (shorter.size() >= 2 && shorter == initials(longer)) return true;
  return shorter.size() >= 3 && longer.starts_with(shorter);
}

}  // namespace

std::string Range::text() const {
  const auto bound = [](double value) {
    if (std::isinf(value)) return std::string(value < 0 ? "-inf" : "inf");
    return fmt::format("{}", value);
  };
  return fmt::format("{}{}, {}{}", low_open || std::isinf(low) ? '(' : '[', bound(low), bound(high),
                     high_open || std::isinf(high) ? ')' : ']');
}

const char* name_of(Setting::Kind kind) {
  static constexpr std::array kNames = {
      "true or false",   "integer",       "number",          "text", "choice", "length", "list of integers",
      "list of numbers", "list of texts", "list of lengths", "path"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool Settings::has(std::string_view key) const { return values_.find(key) != values_.end(); }

const std::string& Settings::text(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) fail(ErrorKind::Settings, "setting '{}' is not given", key);
  return found->second;
}

bool Settings::flag(std::string_view key) const {
  const std::string& value = text(key);
  if (value != "true" && value != "false") wrong_type(key, value, "true or false");
  return value == "true";
}

std::int64_t Settings::integer(std::string_view key) const {
  return scalar<std::int64_t>(*this, key, "an integer", parse_integer);
}
double Settings::real(std::string_view key) const { return scalar<double>(*this, key, "a number", parse_real); }
Length Settings::length(std::string_view key) const {
  return scalar<Length>(*this, key, "a length", [](std::string_view text) { return parse_length(text); });
}
std::vector<std::int64_t> Settings::integers(std::string_view key) const {
  return list<std::int64_t>(*this, key, "a list of integers", parse_integer);
}
std::vector<double> Settings::reals(std::string_view key) const {
  return list<double>(*this, key, "a list of numbers", parse_real);
}
std::vector<std::string> Settings::texts(std::string_view key) const {
  return list<std::string>(*this, key, "a list", [](const std::string& item) { return std::optional(item); });
}
std::vector<Length> Settings::lengths(std::string_view key) const {
  return list<Length>(*this, key, "a list of lengths", [](std::string_view text) { return parse_length(text); });
}

Settings Settings::below(std::string_view prefix) const {
  const std::string start = std::string(prefix) + ".";
  Settings inner;
  for (auto i = values_.lower_bound(start); i != values_.end() && i->first.starts_with(start); ++i) {
    inner.set(i->first.substr(start.size()), i->second);
  }
  return inner;
}

Settings resolve(const Schema& schema, const Settings& given, std::vector<SettingProblem>& problems) {
  Settings resolved;
  std::vector<std::string> names;
  for (const Setting& setting : schema) {
    names.push_back(setting.key);
    const bool is_given = given.has(setting.key);
    if (!is_given && !setting.fallback) {
      problems.push_back({setting.key, "is required and not given"});
      continue;
    }
    // A default passes the same checks, so a schema cannot hold one that its own range refuses. An
    // empty default of a choice, a number or a path means "not set" and stays as it is.
    const std::string& value = is_given ? given.text(setting.key) : *setting.fallback;
    if (!is_given && value.empty()) {
      resolved.set(setting.key, "");
      continue;
    }
    Canonical canonical = canonical_value(setting, value);
    if (!canonical.problem.empty()) problems.push_back({setting.key, canonical.problem});
    resolved.set(setting.key, std::move(canonical.text));
  }
  for (const Setting& setting : schema) {
    if (!setting.derive || given.has(setting.key) || !problems.empty()) continue;
    std::string text = setting.derive(resolved);
    if (!text.empty()) resolved.set(setting.key, std::move(text));
  }
  for (const auto& [key, value] : given.values()) {
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    const auto near = nearest(key, names);
    problems.push_back({key, near ? "unknown key; did you mean '" + *near + "'?" : "unknown key"});
  }
  return resolved;
}

Settings resolve(const Schema& schema, const Settings& given) {
  std::vector<SettingProblem> problems;
  Settings resolved = resolve(schema, given, problems);
  if (!problems.empty()) {
    fail(ErrorKind::Settings, "setting '{}': {}", problems.front().key, problems.front().text);
  }
  return resolved;
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names) {
  const auto split = [](std::string_view name) {
    const std::size_t dot = name.rfind('.');
    const std::size_t cut = dot == std::string_view::npos ? 0 : dot + 1;
    return std::pair(name.substr(0, cut), name.substr(cut));
  };
  std::optional<std::string> best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string& name : names) {
    std::size_t distance = edit_distance(word, name);
    const auto [parent, leaf] = split(word);
    const auto [name_parent, name_leaf] = split(name);
    if (parent == name_parent && (abbreviates(leaf, name_leaf) || abbreviates(name_leaf, leaf))) {
      distance = std::min<std::size_t>(distance, 1);
    }
    // A third of the letters wrong is a slip, more is another word.
    if (distance <= std::max<std::size_t>(1, word.size() / 3) && distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace winnow
