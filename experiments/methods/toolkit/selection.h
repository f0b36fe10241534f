// Which entries of tensors survive: the top-K rule on scores, counts from densities, and
// permutations of masks. Pure functions: the same result for any number of threads or ranks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/rng.h"

namespace winnow {

using Bits = std::vector<std::uint8_t>;  // one byte an entry, 0 or 1
using Scores = std::vector<float>;

// 1 - density without the error of binary fractions: density 0.1 gives the double nearest to 0.9.
double sparsity_of(double density);
// The entries that stay of `numel`: numel - floor(sparsity * numel).
std::int64_t kept_count(std::int64_t numel, double sparsity);

// Ones at the `count` largest scores, equal scores by smaller position. -inf is a valid score. A
// NaN throws Error naming `tensor`.
Bits top_k(std::span<const float> scores, std::int64_t count, const std::string& tensor);
// The same over several tensors as if they were one after the other. T is float or double.
template <class T>
std::vector<Bits> top_k(const std::vector<std::vector<T>>& scores, std::int64_t count,
                        const std::vector<std::string>& tensors);

// Scores whose order is that of 1/score, with zeros last: what prunes the best first.
template <class T>
void invert(std::vector<T>& scores);

// Permutes the bits of one mask, or of all of them as if they were one.
void shuffle(Bits& bits, const RngKey& key);
void shuffle(std::vector<Bits>& masks, const RngKey& key);

std::int64_t count_ones(std::span<const std::uint8_t> bits);

}  // namespace winnow
