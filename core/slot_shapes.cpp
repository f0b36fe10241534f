#include "core/slot_shapes.h"

namespace winnow {

Shape slot_per_entry(const Shape& weight) { return weight; }

Shape slot_per_row(const Shape& weight) {
  std::vector<std::int64_t> extents(static_cast<std::size_t>(weight.rank()), 1);
  if (weight.rank() > 1) extents[0] = weight[0];
  return Shape(extents);
}

}  // namespace winnow
