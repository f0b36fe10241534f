// What NVIDIA's libraries may ask for beside a program's own memory. A constant of the code around them, which is not looked
// at in a dry run: what they take is known on a device alone.
#pragma once

#include <cstddef>

namespace winnow::dry {

// Bytes, at most: of a convolution by cuDNN, or of a product by cuBLASLt.
std::size_t most_library_workspace(bool is_convolution);

}  // namespace winnow::dry
