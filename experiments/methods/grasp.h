// What GraSP scores by. Pure but for the probes.
#pragma once

#include <cstdint>
#include <vector>

#include "experiments/methods/toolkit/density.h"

namespace winnow {

struct GraspOptions {
  double temperature = 200;
  // Of the finite difference, as a share of the norm of the weights: so small that hardly a ReLU changes sides, since
  // the Hessian of a network of ReLUs does not see that.
  double step = 1e-9;
  std::int64_t samples_per_class = 10, iterations = 1;
  bool redraw_linear = true;  // linear layers are scored with new values, Xavier normal
};

// w (H g) of each entry, with gradient g and Hessian H of the loss by the tensors' weights: without the entries with the
// largest the gradient's norm falls most, so the smallest go first. In double precision: a finite difference of gradients
// in single precision is noise at any step. Collective; changes nothing. Error{Settings} naming the tensor whose gradient
// is not a number.
std::vector<std::vector<double>> gradient_flow(TrainState& state, const std::vector<PrunedTensor>& tensors,
                                               const GraspOptions& options);

}  // namespace winnow
