// Sampled axes: points of a space of settings. Every key has a stream of its own, keyed by (seed,
// key, index), so a point never depends on how many points or which other values were asked for.
// Pure functions of their arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace winnow {

enum class SampleKind { Sobol, Random, Lhs, Halton };

struct SampleDistribution {
  enum class Kind { Uniform, LogUniform, Int, Choice };
  std::string key;
  Kind kind = Kind::Uniform;
  double low = 0, high = 1;          // Int: both inclusive
  std::vector<std::string> choices;  // of Choice
};

// Most keys a space can have: the limits of the direction numbers (sobol) and of the primes (halton).
std::size_t most_dimensions(SampleKind kind);

// result[i][k]: the value of space[k] at point i, real numbers with 9 significant digits. Sobol
// (digital shift by key), halton (rotated by key) and random points keep their values when n grows; of lhs those of the
// numbers of points `keep` do: these ascend, and each, and n, is a multiple of the one before. (A nested Latin
// hypercube; Qian, Biometrika 96, 2009: each value has one of its stratum's parts, new points get the others.)
std::vector<std::vector<std::string>> sample_points(SampleKind kind, std::size_t n, std::uint64_t seed,
                                                    const std::vector<SampleDistribution>& space,
                                                    const std::vector<std::size_t>& keep = {});

}  // namespace winnow
