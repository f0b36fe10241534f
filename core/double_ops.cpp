// Ops that work element by element, and derivations of weights, in double precision.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "core/double_ops.h"

namespace winnow::in_double {
namespace {

std::int64_t numel(const DoubleCall& call) { return call.out_info[0].shape.numel(); }

template <class F>
void each(const DoubleCall& call, F f) {
  for (std::int64_t i = 0; i < numel(call); ++i) call.out[0][i] = f(i);
}

}  // namespace

void copy(const DoubleCall& c) { std::copy_n(c.in[0], numel(c), c.out[0]); }
void add(const DoubleCall& c) {
  each(c, [&](auto i) { return c.in[0][i] + c.in[1][i]; });
}
void mul(const DoubleCall& c) {
  each(c, [&](auto i) { return c.in[0][i] * c.in[1][i]; });
}
void scale_by(const DoubleCall& c) {
  each(c, [&](auto i) { return c.in[0][i] * *c.in[1]; });
}
void fill(const DoubleCall& c) { std::fill_n(c.out[0], numel(c), c.node.attrs.real("value")); }
void broadcast(const DoubleCall& c) { std::fill_n(c.out[0], numel(c), *c.in[0]); }
void reduce_sum(const DoubleCall& c) {
  for (std::int64_t i = 0; i < c.in_info[0].shape.numel(); ++i) *c.out[0] += c.in[0][i];
}
void relu(const DoubleCall& c) {
  each(c, [&](auto i) { return c.in[0][i] < 0 ? 0.0 : c.in[0][i]; });
}
void relu_backward(const DoubleCall& c) {
  each(c, [&](auto i) { return c.in[1][i] <= 0 ? 0.0 : c.in[0][i]; });
}
void sigmoid(const DoubleCall& c) {
  each(c, [&](auto i) { return 1 / (1 + std::exp(-c.in[0][i])); });
}
void exponential(const DoubleCall& c) {
  each(c, [&](auto i) { return std::exp(c.in[0][i]); });
}
void sigmoid_backward(const DoubleCall& c) {
  each(c, [&](auto i) { return c.in[0][i] * c.in[1][i] * (1 - c.in[1][i]); });
}

void basis_combine(const DoubleCall& c) {
  const std::int64_t n = c.in_info[1].shape[0];
  const bool transposed = c.node.attrs.integer("transposed", 0) != 0;
  each(c, [&](auto i) {
    double sum = 0;
    const double* row = c.in[0] + i / n * n;
    for (std::int64_t k = 0, m = i % n; k < n; ++k) sum += row[k] * c.in[1][transposed ? m * n + k : k * n + m];
    return sum;
  });
}
void basis_gradient(const DoubleCall& c) {
  const std::int64_t n = c.out_info[0].shape[0];
  for (std::int64_t row = 0; row < c.in_info[0].shape.numel() / n; ++row) {
    for (std::int64_t i = 0; i < n * n; ++i) c.out[0][i] += c.in[0][row * n + i / n] * c.in[1][row * n + i % n];
  }
}

void soft_threshold(const DoubleCall& c) {
  each(c, [&](auto i) {
    const double above = std::fabs(c.in[0][i]) - *c.in[1];
    return above <= 0 ? 0.0 : std::copysign(above, c.in[0][i]);
  });
}
void soft_threshold_backward(const DoubleCall& c) {
  each(c, [&](auto i) { return c.in[1][i] == 0 ? 0.0 : c.in[0][i]; });
}
void soft_threshold_backward_threshold(const DoubleCall& c) {
  for (std::int64_t i = 0; i < c.in_info[0].shape.numel(); ++i) {
    if (c.in[1][i] != 0) *c.out[0] -= std::copysign(1.0, c.in[1][i]) * c.in[0][i];
  }
}

namespace {

struct Compander {
  std::string function;
  double a, b;
  Compander(const DoubleCall& c, std::size_t first)
      : function(c.node.attrs.text("function")), a(scalar(c, first, "a")), b(scalar(c, first + 1, "b")) {}
  static double scalar(const DoubleCall& c, std::size_t at, const char* name) {
    return c.in[at] != nullptr ? *c.in[at] : c.node.attrs.real(name);
  }
  double value(double u) const {
    return function == "arctan" ? std::atan(u) : function == "arsinh" ? std::asinh(u) : std::erf(u);
  }
  double slope(double u) const {
    if (function == "arctan") return 1 / (1 + u * u);
    return function == "arsinh" ? 1 / std::sqrt(1 + u * u) : 2 * std::numbers::inv_sqrtpi * std::exp(-u * u);
  }
};
}  // namespace

void compander(const DoubleCall& c) {
  const Compander f(c, 1);
  each(c, [&](auto i) { return f.a * f.value(c.in[0][i] / f.b); });
}
void compander_backward(const DoubleCall& c) {
  const Compander f(c, 2);
  each(c, [&](auto i) { return c.in[0][i] * (f.a / f.b) * f.slope(c.in[1][i] / f.b); });
}
void compander_backward_coefficients(const DoubleCall& c) {
  const Compander f(c, 2);
  for (std::int64_t i = 0; i < c.in_info[1].shape.numel(); ++i) {
    const double u = c.in[1][i] / f.b;
    *c.out[0] += c.in[0][i] * f.value(u);
    *c.out[1] -= c.in[0][i] * (f.a / f.b) * u * f.slope(u);
  }
}

}  // namespace winnow::in_double
