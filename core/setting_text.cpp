#include "core/setting_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/settings.h"

namespace winnow {
namespace {

using Kind = Setting::Kind;

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A decimal number taken apart.
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

// 0.0001 rather than 1e-4; only very small and very large numbers have an exponent.
std::string decimal_text(const Decimal& number) {
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

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

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

CanonicalValue must_be(std::string_view what, std::string_view is) {
  return {"", fmt::format("must be {}, is {}", what, is.empty() ? "empty" : is)};
}

CanonicalValue check_range(const Setting& setting, double value, std::string text, std::string_view is) {
  if (setting.range && !setting.range->contains(value)) {
    return must_be("in " + setting.range->text(), is);
  }
  return {std::move(text), ""};
}

CanonicalValue canonical_bool(std::string_view text) {
  for (const std::string_view yes : {"true", "True", "TRUE"}) {
    if (text == yes) return {"true", ""};
  }
  for (const std::string_view no : {"false", "False", "FALSE"}) {
    if (text == no) return {"false", ""};
  }
  return must_be("true or false", text);
}

CanonicalValue canonical_length(const Setting& setting, std::string_view text) {
  // A setting whose default is in steps is thought of in steps: `delta_t: 500` is 500it.
  const std::string_view usual = setting.fallback ? *setting.fallback : std::string_view{};
  const bool epochs = usual.find("it") == std::string_view::npos;
  const auto value = parse_length(text, epochs);
  if (!value) return must_be("a length such as 160 (epochs), 160ep or 30000it", text);
  const bool in_epochs = value->count == 0 ? epochs : value->epochs;  // nothing is nothing in either unit
  return check_range(setting, static_cast<double>(value->count),
                     std::to_string(value->count) + (in_epochs ? "ep" : "it"), text);
}

CanonicalValue canonical_item(const Setting& setting, Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::Bool:
      return canonical_bool(text);
    case Kind::Int: {
      const auto value = parse_integer(text);
      if (!value) return must_be("an integer", text);
      return check_range(setting, static_cast<double>(*value), std::to_string(*value), text);
    }
    case Kind::Real: {
      const auto value = parse_real(text);
      if (!value) return must_be("a number", text);
      return check_range(setting, *value, real_text(*value), text);
    }
    case Kind::Length:
      return canonical_length(setting, text);
    case Kind::NamedReals: {
      const auto value = parse_named_real(text);
      if (!value) return must_be("name=number", text);
      return check_range(setting, value->second, value->first + "=" + real_text(value->second), text);
    }
    case Kind::Choice: {
      const auto& choices = setting.choices;
      if (std::find(choices.begin(), choices.end(), text) != choices.end()) {
        return {std::string(text), ""};
      }
      CanonicalValue bad = must_be("one of " + joined(choices), text);
      bad.problem += did_you_mean(text, choices, "; ");
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

// What the items of a set are ordered by: their values, epochs before steps; texts as texts.
std::pair<double, std::string> order_of(Kind kind, const std::string& item) {
  if (kind == Kind::Length) {
    const Length length = *parse_length(item);
    return {static_cast<double>(length.count), length.epochs ? "a" : "b"};
  }
  if (kind == Kind::Int || kind == Kind::Real) return {*parse_real(item), ""};
  return {0, item};
}

// What must not be twice in a set: the item, or its name.
std::string name_of_item(Kind kind, const std::string& item) {
  return kind == Kind::NamedReals ? parse_named_real(item)->first : item;
}

std::string sort_set(Kind kind, std::vector<std::string>& items) {
  std::ranges::stable_sort(items, {}, [&](const std::string& item) { return order_of(kind, item); });
  for (std::size_t i = 1; i < items.size(); ++i) {
    const std::string name = name_of_item(kind, items[i]);
    if (name == name_of_item(kind, items[i - 1])) return fmt::format("holds {} twice", name);
  }
  return "";
}

}  // namespace

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (!all_digits(text.starts_with('-') ? text.substr(1) : text)) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
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

std::optional<Length> parse_length(std::string_view text, bool epochs) {
  Length length{0, epochs};
  if (text.ends_with("it")) length.epochs = false;
  if (text.ends_with("ep")) length.epochs = true;
  if (text.ends_with("it") || text.ends_with("ep")) text = trim(text.substr(0, text.size() - 2));
  const auto count = parse_integer(text);
  if (!count || *count < 0) return std::nullopt;
  length.count = *count;
  return length;
}

std::optional<std::pair<std::string, double>> parse_named_real(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view name = trim(text.substr(0, equals));
  const auto value = parse_real(trim(text.substr(equals + 1)));
  const bool plain = std::ranges::all_of(name, [](unsigned char c) { return c >= 0x20; });
  if (name.empty() || !plain || !value) return std::nullopt;
  return std::pair(std::string(name), *value);
}

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

std::string real_text(double value) {
  std::array<char, 32> shortest;
  const auto end =
      std::to_chars(shortest.data(), shortest.data() + shortest.size(), value, std::chars_format::scientific);
  return decimal_text(*parse_decimal({shortest.data(), end.ptr}));
}

CanonicalValue canonical_value(const Setting& setting, std::string_view text) {
  text = trim(text);
  const auto kind = setting.kind == Kind::NamedReals ? Kind::NamedReals : item_kind(setting.kind);
  if (!kind) return canonical_item(setting, setting.kind, text);
  const auto items = parse_list(text);
  if (!items) return must_be(fmt::format("a {}", name_of(setting.kind)), text);
  std::vector<std::string> canonical;
  for (const std::string& item : *items) {
    CanonicalValue one = canonical_item(setting, *kind, item);
    if (!one.problem.empty()) return {"", "each item " + one.problem};
    canonical.push_back(std::move(one.text));
  }
  if (setting.is_set) {
    if (std::string problem = sort_set(*kind, canonical); !problem.empty()) return {"", std::move(problem)};
  }
  return {"[" + joined(canonical) + "]", ""};
}

}  // namespace winnow
