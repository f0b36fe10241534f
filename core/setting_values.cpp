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

const std::string& Settings::text_at(std::size_t i) const {
  if (changes_) {
    const auto change = std::ranges::lower_bound(*changes_, i, {}, &Change::at);
    if (change != changes_->end() && change->at == i) return change->text;
  }
  return (*base_)[i].text;
}

std::vector<Settings::Entry>& Settings::own() {
  if (!base_) {
    base_ = std::make_shared<std::vector<Entry>>();
  } else if (changes_ || base_.use_count() > 1) {
    auto copy = std::make_shared<std::vector<Entry>>(*base_);
    if (changes_) {
      for (const Change& change : *changes_) (*copy)[change.at].text = change.text;
    }
    base_ = std::move(copy);
    changes_.reset();
  }
  return *base_;
}

const std::string* Settings::find(std::string_view key) const {
  if (!base_) return nullptr;
  const auto found = std::ranges::lower_bound(*base_, key, std::less<>(), &Entry::key);
  if (found == base_->end() || found->key != key) return nullptr;
  return &text_at(static_cast<std::size_t>(found - base_->begin()));
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
  if (!base_) return inner;
  std::vector<Entry>& entries = inner.own();
  for (auto i = std::ranges::lower_bound(*base_, start, std::less<>(), &Entry::key);
       i != base_->end() && i->key.starts_with(start); ++i) {
    entries.push_back({i->key.substr(start.size()), text_at(static_cast<std::size_t>(i - base_->begin()))});
  }
  return inner;
}

Settings::Values Settings::values() const {
  Values all;
  for (std::size_t i = 0; i < size(); ++i) all.emplace_hint(all.end(), (*base_)[i].key, text_at(i));
  return all;
}

bool Settings::operator==(const Settings& other) const {
  if (base_ == other.base_ && changes_ == other.changes_) return true;
  if (size() != other.size()) return false;
  for (std::size_t i = 0; i < size(); ++i) {
    if ((*base_)[i].key != (*other.base_)[i].key || text_at(i) != other.text_at(i)) return false;
  }
  return true;
}

std::optional<Settings> Settings::sharing(const Settings& base) const {
  if (base.changes_ || size() != base.size()) return std::nullopt;
  if (size() == 0) return *this;
  std::vector<Change> changes;
  for (std::size_t i = 0; i < size(); ++i) {
    if ((*base_)[i].key != (*base.base_)[i].key) return std::nullopt;
    const std::string& own_text = text_at(i);
    if (own_text != (*base.base_)[i].text) changes.push_back({static_cast<std::uint32_t>(i), own_text});
  }
  Settings shared = base;
  changes.shrink_to_fit();
  if (!changes.empty()) shared.changes_ = std::make_shared<const std::vector<Change>>(std::move(changes));
  return shared;
}

}  // namespace winnow
