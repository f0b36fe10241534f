// The form of weights that take few values: a code of a few bits an entry, and a table of the values that codes stand
// for; one table for the whole tensor, or one for each of equal parts of it, as rows are. What quantisers give, whatever
// their grid. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/encoded.h"

namespace winnow {

// `codes`: of the kept entries in order, each below `levels`. `table`: `levels` values for each part. Counted are the
// bits of the codes, without padding, and 32 for each value of the table; a method whose table follows from fewer
// numbers counts those.
Encoded codebook(std::span<const std::uint32_t> codes, std::vector<float> table, std::int64_t levels);
std::int64_t code_width(std::int64_t levels);  // bits of a code

Encoding codebook_encoding();

}  // namespace winnow
