// For tests: numbers between -1 and 1 that neither repeat nor are in order.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace winnow::test {

inline std::vector<float> wave(std::size_t count, float phase) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = std::sin(phase + 1.7f * static_cast<float>(i));
  return values;
}

}  // namespace winnow::test
