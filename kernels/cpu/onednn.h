// Convolutions and linear layers through oneDNN: primitives made once for one shape and direction
// and run many times. See layer.h for ownership and threads; oneDNN itself spreads the work over
// the layer's threads. onednn*.cpp alone see the library's headers.
#pragma once

#include <memory>

#include "kernels/cpu/layer.h"

namespace winnow::cpu {

std::unique_ptr<Layer> onednn_layer(const ConvShape& shape, Direction direction, int threads);
std::unique_ptr<Layer> onednn_layer(const LinearShape& shape, Direction direction, int threads);

// Does this processor multiply bf16 natively? Otherwise bf16 is slower than f32 and `precision: auto` means f32.
bool processor_has_bf16();
// And in tiles of matrices (AMX), at several times the speed of vectors?
bool processor_has_amx();

const char* onednn_version();  // "2.6.3"

}  // namespace winnow::cpu
