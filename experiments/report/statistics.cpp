#include "experiments/report/statistics.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

namespace winnow {

double student_t(std::size_t degrees) {
  return boost::math::quantile(boost::math::students_t(static_cast<double>(degrees)), 0.975);
}

Sample describe(std::span<const double> values) {
  Sample sample;
  sample.count = values.size();
  if (values.empty()) return sample;
  const auto n = static_cast<double>(values.size());
  sample.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() < 2) return sample;
  double squares = 0;
  for (const double value : values) squares += (value - sample.mean) * (value - sample.mean);
  sample.deviation = std::sqrt(squares / (n - 1));
  // Two values give an interval 13 times their distance: correct, and of no use to anybody.
  if (values.size() >= 3) sample.half_width = student_t(values.size() - 1) * *sample.deviation / std::sqrt(n);
  return sample;
}

}  // namespace winnow
