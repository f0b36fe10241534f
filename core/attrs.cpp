#include "core/attrs.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

const Attrs::Entries& Attrs::entries() const {
  static const Entries none;
  return entries_ ? *entries_ : none;
}

template <class T>
const T& Attrs::get(std::string_view name) const {
  const auto found = entries().find(name);
  if (found == entries().end()) fail(ErrorKind::Internal, "attribute '{}' is missing", name);
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) fail(ErrorKind::Internal, "attribute '{}' has another type", name);
  return *value;
}

std::int64_t Attrs::integer(std::string_view name) const { return get<std::int64_t>(name); }
std::int64_t Attrs::integer(std::string_view name, std::int64_t fallback) const {
  return has(name) ? integer(name) : fallback;
}
double Attrs::real(std::string_view name) const { return get<double>(name); }
const std::string& Attrs::text(std::string_view name) const { return get<std::string>(name); }
const std::vector<std::int64_t>& Attrs::list(std::string_view name) const {
  return get<std::vector<std::int64_t>>(name);
}

void Attrs::set(std::string name, Attr value) {
  const auto changed = std::make_shared<Entries>(entries());
  (*changed)[std::move(name)] = std::move(value);
  entries_ = changed;
}

void Attrs::fill_in(const Attrs& defaults) {
  if (!entries_) entries_ = defaults.entries_;
  const auto is_there = [&](const auto& entry) { return has(entry.first); };
  if (std::ranges::all_of(defaults.entries(), is_there)) return;
  const auto filled = std::make_shared<Entries>(entries());
  filled->insert(defaults.entries().begin(), defaults.entries().end());
  entries_ = filled;
}

std::vector<std::pair<std::string_view, double>> Attrs::reals() const {
  std::vector<std::pair<std::string_view, double>> found;
  for (const auto& [name, value] : entries()) {
    if (const double* real = std::get_if<double>(&value)) found.emplace_back(name, *real);
  }
  return found;
}

std::size_t Attrs::real_position(std::string_view name) const {
  get<double>(name);
  std::size_t before = 0;
  for (auto at = entries().begin(); at->first != name; ++at)
    before += std::holds_alternative<double>(at->second) ? 1 : 0;
  return before;
}

bool Attrs::same_but_reals(const Attrs& other) const {
  return std::ranges::equal(entries(), other.entries(), [](const auto& a, const auto& b) {
    const bool reals = std::holds_alternative<double>(a.second) && std::holds_alternative<double>(b.second);
    return a.first == b.first && (reals || a.second == b.second);
  });
}

}  // namespace winnow
