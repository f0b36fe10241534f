// How fast one core of this machine multiplies and moves numbers, as an estimate of a trial's time needs it. Measured once in a
// process, in some 0.1 s on the calling thread; any thread may ask.
#pragma once

#include "core/tensor.h"

namespace winnow {

struct MachineSpeed {
  double flops_f32 = 0, flops_bf16 = 0;  // of a matrix product, a second
  double bytes = 0;                      // read and written by a sum of two large arrays, a second
  double flops(DType type) const { return type == DType::BF16 ? flops_bf16 : flops_f32; }
};

const MachineSpeed& machine_speed();

// A core with AVX-512 that many know: for what compares trials, and has to be the same each time and on every machine.
inline constexpr MachineSpeed kReferenceSpeed{.flops_f32 = 2e11, .flops_bf16 = 3.3e11, .bytes = 1e10};

}  // namespace winnow
