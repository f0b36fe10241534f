#include "core/setting_values.h"

#include <algorithm>

#include "core/error.h"
#include "core/setting_text.h"

namespace winnow {
namespace {

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

std::optional<Length> length_of(std::string_view text) { return parse_length(text); }

}  // namespace

Settings::Settings(const Values& values) {
  for (const auto& [key, text] : values) own().push_back({key, text});
}

std::vector<Settings::Entry>& Settings::own() {
  if (!entries_) {
    entries_ = std::make_shared<std::vector<Entry>>();
  } else if (entries_.use_count() > 1) {
    entries_ = std::make_shared<std::vector<Entry>>(*entries_);
  }
  return *entries_;
}

const std::string* Settings::find(std::string_view key) const {
  if (!entries_) return nullptr;
  const auto found = std::ranges::lower_bound(*entries_, key, std::less<>(), &Entry::key);
  if (found == entries_->end() || found->key != key) return nullptr;
  return &found->text;
}

const std::string& Settings::text(std::string_view key) const {
  const std::string* found = find(key);
  if (found == nullptr) fail(ErrorKind::Settings, "setting '{}' is not given", key);
  return *found;
}

void Settings::set(std::string_view key, std::string text) {
  std::vector<Entry>& entries = own();
  const auto place = std::ranges::lower_bound(entries, key, std::less<>(), &Entry::key);
  if (place != entries.end() && place->key == key) {
    place->text = std::move(text);
  } else {
    entries.insert(place, {std::string(key), std::move(text)});
  }
}

void Settings::erase(std::string_view key) {
  if (has(key)) std::erase_if(own(), [&](const Entry& entry) { return entry.key == key; });
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
Length Settings::length(std::string_view key) const { return scalar<Length>(*this, key, "a length", length_of); }
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
  return list<Length>(*this, key, "a list of lengths", length_of);
}
std::vector<std::pair<std::string, double>> Settings::named_reals(std::string_view key) const {
  return list<std::pair<std::string, double>>(*this, key, "a list of name=number", parse_named_real);
}

Settings Settings::below(std::string_view prefix) const {
  const std::string start = std::string(prefix) + ".";
  Settings inner;
  if (!entries_) return inner;
  std::vector<Entry>& entries = inner.own();
  for (auto i = std::ranges::lower_bound(*entries_, start, std::less<>(), &Entry::key);
       i != entries_->end() && i->key.starts_with(start); ++i) {
    entries.push_back({i->key.substr(start.size()), i->text});
  }
  return inner;
}

Settings::Values Settings::values() const {
  Values all;
  if (!entries_) return all;
  for (const Entry& entry : *entries_) all.emplace_hint(all.end(), entry.key, entry.text);
  return all;
}

bool Settings::operator==(const Settings& other) const {
  if (entries_ == other.entries_) return true;
  return size() == other.size() && (size() == 0 || *entries_ == *other.entries_);
}

}  // namespace winnow
