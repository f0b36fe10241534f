// Numbers of JSON, which anyone may have written. They may be absent: JSON has neither NaN nor infinity, so what has no value is
// null. Pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

namespace winnow {

inline nlohmann::json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

// Nothing where the key is missing or its value is no number.
inline std::optional<double> number_in(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

// The nearest that T has. Json::exception where it is missing or no whole number: the library would make one of 1e80, too.
template <class T = std::int64_t, class Json>
T integer_in(const Json& json, const char* key) {
  const auto& number = json.at(key).template get_ref<const typename Json::number_integer_t&>();
  return static_cast<T>(std::clamp<std::int64_t>(number, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}
// `otherwise` where it is missing.
template <class T, class Json>
T integer_in(const Json& json, const char* key, T otherwise) {
  return json.contains(key) ? integer_in<T>(json, key) : otherwise;
}

}  // namespace winnow
