// Numbers of JSON that may be absent: JSON has neither NaN nor infinity, so what has no value is null. Pure functions.
#pragma once

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

}  // namespace winnow
