// Errors of vendor libraries: which call, what it said, for which layer. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "kernels/layer.h"

namespace winnow::cuda::vendor {

// "backward data of convolution 8x32x32x16 -> 8x16x16x32, 3x3, stride 2, pad 1, groups 1, bf16"
std::string describe(const ConvShape& shape, Direction direction);
std::string describe(const LinearShape& shape, Direction direction);

// Throws std::runtime_error "CALL: TEXT (LAYER)".
[[noreturn]] void fail(std::string_view call, std::string_view text, std::string_view layer = {});

}  // namespace winnow::cuda::vendor
