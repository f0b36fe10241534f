// What texts of sweeps are worth a try. Header only.
#pragma once

#include <string_view>

namespace winnow::fuzz {

// A million points are allowed and take seconds; what is looked for here lies in small ones.
inline bool is_large(std::string_view text) {
  std::size_t digits = 0;
  for (const char c : text) {
    digits = (c >= '0' && c <= '9') || c == '_' ? digits + 1 : 0;
    if (digits > 3) return true;
  }
  return false;
}

}  // namespace winnow::fuzz
