#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

Shape::Shape(std::initializer_list<std::int64_t> extents) : Shape(std::vector<std::int64_t>(extents)) {}

Shape::Shape(const std::vector<std::int64_t>& extents) {
  if (extents.size() > kMaxRank) {
    fail(ErrorKind::Internal, "a tensor has at most {} axes, not {}", kMaxRank, extents.size());
  }
  std::copy(extents.begin(), extents.end(), extents_.begin());
  rank_ = static_cast<int>(extents.size());
}

std::int64_t Shape::numel() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : *this) count *= extent;
  return count;
}

std::string Shape::text() const {
  if (rank_ == 0) return "scalar";
  return fmt::format("{}", fmt::join(begin(), end(), "x"));
}

}  // namespace winnow
