// One optimizer step of all weights of a parameter, on the device of `exec`. Marks the run state if a
// weight becomes infinite or NaN.
#pragma once

#include <cstdint>

#include "kernels/for_each.h"
#include "kernels/functors/optimizer_steps.h"

namespace winnow {

// Step: SgdStep or an AdamStep; n: weights.
template <class Step>
void for_each_weight(const Exec& exec, std::int64_t n, const Step& step) {
  with_masks(step, [&](const auto& body) { for_each_checked(exec, n, body); });
}

}  // namespace winnow
