// Kernels of batch_norm and batch_norm_backward for devices: functors one after the other (kernels/functors/batch_norm.h), one
// pass over x for the sums and one to apply them. Made by any thread, run by one at a time; for core/ops/ only.
#pragma once

#include <memory>

#include "core/op.h"

namespace winnow::ops {

std::unique_ptr<Kernel> batch_norm_of_functors(const KernelSpec& spec);
std::unique_ptr<Kernel> batch_norm_backward_of_functors(const KernelSpec& spec);

}  // namespace winnow::ops
