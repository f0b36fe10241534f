#include "kernels/cuda/vendor/errors.h"

#include <initializer_list>
#include <stdexcept>

namespace winnow::cuda::vendor {
namespace {

std::string name_of_direction(Direction direction) {
  return direction == Direction::Forward        ? "forward"
         : direction == Direction::BackwardData ? "backward data"
                                                : "backward weights";
}

std::string joined(std::initializer_list<std::int64_t> extents) {
  std::string text;
  for (const std::int64_t extent : extents) text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text;
}

}  // namespace

std::string describe(const ConvShape& s, Direction direction) {
  return name_of_direction(direction) + " of convolution " + joined({s.batch, s.height, s.width, s.in}) + " -> " +
         joined({s.batch, s.out_height(), s.out_width(), s.out}) + ", " + joined({s.kernel_h, s.kernel_w}) +
         ", stride " + std::to_string(s.stride) + ", pad " + std::to_string(s.pad) + ", groups " +
         std::to_string(s.groups) + ", " + name_of(s.dtype) + (s.sums ? ", with sums by channel" : "");
}

std::string describe(const LinearShape& s, Direction direction) {
  return name_of_direction(direction) + " of linear " + joined({s.rows, s.in}) + " -> " + joined({s.rows, s.out}) +
         ", " + name_of(s.dtype);
}

void fail(std::string_view call, std::string_view text, std::string_view layer) {
  std::string message(call);
  message.append(": ").append(text);
  if (!layer.empty()) message.append(" (").append(layer).append(")");
  throw std::runtime_error(message);
}

}  // namespace winnow::cuda::vendor
