// Attributes of a node of a graph. A plain value, of which copies share their entries until one is changed: networks are copied
// many times while a sweep is planned. Getters throw Error{Internal} naming the attribute if it is absent or of another
// type. The real ones are what a user sets (a decay, a probability): they shape no program, which reads them in memory as
// it runs.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace winnow {

using Attr = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>>;

class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const std::string, Attr>> entries)
      : entries_(std::make_shared<const Entries>(entries)) {}
  std::int64_t integer(std::string_view name) const;
  std::int64_t integer(std::string_view name, std::int64_t fallback) const;
  double real(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::vector<std::int64_t>& list(std::string_view name) const;
  bool has(std::string_view name) const { return entries().find(name) != entries().end(); }
  void set(std::string name, Attr value);
  void fill_in(const Attrs& defaults);                             // those that are absent
  std::vector<std::pair<std::string_view, double>> reals() const;  // in the order of their names
  std::size_t real_position(std::string_view name) const;
  bool same_but_reals(const Attrs& other) const;
  bool operator==(const Attrs& other) const { return entries_ == other.entries_ || entries() == other.entries(); }

 private:
  using Entries = std::map<std::string, Attr, std::less<>>;
  const Entries& entries() const;
  template <class T>
  const T& get(std::string_view name) const;

  std::shared_ptr<const Entries> entries_;  // null: none
};

}  // namespace winnow
