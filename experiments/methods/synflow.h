// The pure parts of SynFlow.
#pragma once

#include <cstdint>

namespace winnow {

// Density after iteration i (from 0) of n: density^((i + 1) / n), exactly `density` after the last.
double synflow_density(double density, std::int64_t i, std::int64_t n);

}  // namespace winnow
