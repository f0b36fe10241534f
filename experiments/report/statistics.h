// What n repeated measurements say: mean, sample standard deviation and 95 % interval by Student's t.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace winnow {

struct Sample {
  std::size_t count = 0;
  double mean = 0;
  std::optional<double> deviation;   // of the sample (n - 1); needs two values
  std::optional<double> half_width;  // mean +- half_width is the 95 % interval; needs three values
};

Sample describe(std::span<const double> values);
// t with `degrees` degrees of freedom that 97.5 % of draws are below.
double student_t(std::size_t degrees);

}  // namespace winnow
