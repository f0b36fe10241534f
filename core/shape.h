// The extents of a tensor: at most six, no allocation, compared and hashed by value.
// Activations are NHWC {N, H, W, C} or {N, F}; convolution weights {O, I, KH, KW}; linear weights {out, in}.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace winnow {

class Shape {
 public:
  static constexpr int kMaxRank = 6;
  Shape() = default;  // rank 0: a scalar of one element
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(const std::vector<std::int64_t>& extents);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)]; }
  std::int64_t numel() const;
  const std::int64_t* begin() const { return extents_.data(); }
  const std::int64_t* end() const { return extents_.data() + rank_; }
  std::string text() const;  // "128x32x32x3"
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace winnow
