// Which GPUs the code of this program runs on. Pure functions on compute capabilities as 80 and 103.
#pragma once

#include <algorithm>
#include <span>
#include <string>

namespace winnow::cuda {

// `machine`: capabilities with code of their own, which runs on GPUs of the same major number from there on. `ptx`: what the
// driver compiles for this one and all later ones.
struct CodeFor {
  std::span<const int> machine;
  int ptx;
};

constexpr bool runs_on(const CodeFor& code, int capability) {
  return capability >= code.ptx ||
         std::ranges::any_of(code.machine, [&](int own) { return own / 10 == capability / 10 && own <= capability; });
}

// "8.0 to 8.9, 9.0 and later"
inline std::string said_of(const CodeFor& code) {
  const auto version = [](int capability) {
    return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
  };
  std::string text;
  for (const int own : code.machine) {
    if (own < code.ptx) text += version(own) + " to " + version(std::min(own / 10 * 10 + 9, code.ptx - 1)) + ", ";
  }
  return text + version(code.ptx) + " and later";
}

}  // namespace winnow::cuda
