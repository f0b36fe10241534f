// Optimizer steps of all weights of parameters, on the device of `exec`. They mark the run state if a weight becomes infinite or
// NaN.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/for_each.h"
#include "kernels/functors/optimizer_steps.h"

namespace winnow {

// Step: SgdStep or an AdamStep; n: weights.
template <class Step>
void for_each_weight(const Exec& exec, std::int64_t n, const Step& step) {
  with_masks(step, [&]<class Body>(const Body& body) {
    const Loop<Body> loop{n, body};
    for_each_checked(exec, std::span(&loop, 1));
  });
}

// Of several parameters: one loop each, those with the same masks together.
template <class Step>
void for_each_weight(const Exec& exec, std::span<const Loop<Step>> steps) {
  const auto those_with = [&]<bool keep, bool train>() {
    std::vector<Loop<Masked<Step, keep, train>>> loops;
    for (const auto& [n, step] : steps) {
      if ((step.keep != nullptr) == keep && (step.train != nullptr) == train) loops.push_back({n, {step}});
    }
    for_each_checked(exec, std::span<const Loop<Masked<Step, keep, train>>>(loops));
  };
  those_with.template operator()<true, true>();
  those_with.template operator()<true, false>();
  those_with.template operator()<false, true>();
  those_with.template operator()<false, false>();
}

}  // namespace winnow
