// The last few columns of a contraction whose words along k are neighbours in A: they would fill
// one to three of a register's sixteen lanes, so here the lanes are neighbours along k instead, and
// are summed up at the end. Owns nothing; any number of threads may run it for different C.
#pragma once

#include "kernels/cpu/contraction.h"

namespace winnow::cpu {

inline constexpr std::int64_t kMostDotColumns = 3;

// How many of a contraction's columns this computes faster; 0 for most.
std::int64_t dot_columns_of(const Contraction& shape);

// `shape`: m, the rows of A and C and the axes of k as in contract(), a word being its dtype's; the
// innermost axis of A steps by one word and the outermost has length 1. b {columns, k[1], k[0]}
// words; c and bias begin at the first of the columns.
void dot_columns(const Contraction& shape, std::int64_t columns, const void* a, const void* b, const float* bias,
                 void* c);

}  // namespace winnow::cpu
