// The shapes of an optimiser's state tensors ("slots") of a parameter, from the weight's: of its rank, each extent the
// weight's or 1, so that an entry of a slot belongs to one weight, to a row of them or to all.
#pragma once

#include <vector>

#include "core/shape.h"

namespace winnow {

using SlotShape = Shape (*)(const Shape& weight);
using SlotShapes = std::vector<SlotShape>;

Shape slot_per_entry(const Shape& weight);
Shape slot_per_row(const Shape& weight);  // a row: all weights of one output; a vector has one for all

}  // namespace winnow
