// Ops of networks that work on tokens, in double precision, and concatenation.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/double_ops.h"

namespace winnow::in_double {
namespace {

// Calls body(row, width, column, part, width of the part) for the rows of a whole and of the parts side by side.
template <class Body>
void for_parts(std::span<const ValueInfo> parts, const Shape& whole, Body body) {
  std::int64_t column = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const std::int64_t width = parts[p].shape[-1];
    for (std::int64_t row = 0; row < whole.numel() / whole[-1]; ++row)
      body(p, row * width, row * whole[-1] + column, width);
    column += width;
  }
}

double normal_share(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }

}  // namespace

void concat(const DoubleCall& c) {
  for_parts(c.in_info, c.out_info[0].shape,
            [&](auto part, auto from, auto to, auto width) { std::copy_n(c.in[part] + from, width, c.out[0] + to); });
}
void split(const DoubleCall& c) {
  for_parts(c.out_info, c.in_info[0].shape,
            [&](auto part, auto to, auto from, auto width) { std::copy_n(c.in[0] + from, width, c.out[part] + to); });
}

void permute(const DoubleCall& c) {
  const Shape &x = c.in_info[0].shape, &y = c.out_info[0].shape;
  const std::vector<std::int64_t>& axes = c.node.attrs.list("axes");
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    std::int64_t rest = i, from = 0;
    for (int axis = y.rank() - 1; axis >= 0; --axis) {
      std::int64_t stride = 1;
      for (int inner = static_cast<int>(axes[static_cast<std::size_t>(axis)]) + 1; inner < x.rank(); ++inner) {
        stride *= x[inner];
      }
      from += rest % y[axis] * stride;
      rest /= y[axis];
    }
    c.out[0][i] = c.in[0][from];
  }
}

void add_broadcast(const DoubleCall& c) {
  const std::int64_t size = c.in_info[1].shape.numel();
  for (std::int64_t i = 0; i < c.out_info[0].shape.numel(); ++i) c.out[0][i] = c.in[0][i] + c.in[1][i % size];
}
void sum_leading(const DoubleCall& c) {
  const std::int64_t size = c.out_info[0].shape.numel();
  for (std::int64_t i = 0; i < c.in_info[0].shape.numel(); ++i) c.out[0][i % size] += c.in[0][i];
}

void gelu(const DoubleCall& c) {
  for (std::int64_t i = 0; i < c.out_info[0].shape.numel(); ++i) c.out[0][i] = c.in[0][i] * normal_share(c.in[0][i]);
}
void gelu_backward(const DoubleCall& c) {
  for (std::int64_t i = 0; i < c.out_info[0].shape.numel(); ++i) {
    const double x = c.in[1][i], density = std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    c.out[0][i] = c.in[0][i] * (normal_share(x) + x * density);
  }
}

void softmax(const DoubleCall& c) {
  const std::int64_t width = c.out_info[0].shape[-1];
  for (std::int64_t row = 0; row < c.out_info[0].shape.numel(); row += width) {
    const double largest = *std::max_element(c.in[0] + row, c.in[0] + row + width);
    double sum = 0;
    for (std::int64_t i = row; i < row + width; ++i) sum += c.out[0][i] = std::exp(c.in[0][i] - largest);
    for (std::int64_t i = row; i < row + width; ++i) c.out[0][i] /= sum;
  }
}
void softmax_backward(const DoubleCall& c) {
  const std::int64_t width = c.out_info[0].shape[-1];
  for (std::int64_t row = 0; row < c.out_info[0].shape.numel(); row += width) {
    double dot = 0;
    for (std::int64_t i = row; i < row + width; ++i) dot += c.in[0][i] * c.in[1][i];
    for (std::int64_t i = row; i < row + width; ++i) c.out[0][i] = c.in[1][i] * (c.in[0][i] - dot);
  }
}

void layer_norm(const DoubleCall& c) {
  const std::int64_t width = c.in_info[0].shape[-1];
  const auto count = static_cast<double>(width);
  for (std::int64_t row = 0; row < c.in_info[0].shape.numel() / width; ++row) {
    const double* x = c.in[0] + row * width;
    double mean = 0, square = 0;
    for (std::int64_t i = 0; i < width; ++i) mean += x[i] / count;
    for (std::int64_t i = 0; i < width; ++i) square += (x[i] - mean) * (x[i] - mean) / count;
    const double rstd = 1 / std::sqrt(square + c.node.attrs.real("eps"));
    for (std::int64_t i = 0; i < width; ++i) c.out[0][row * width + i] = (x[i] - mean) * rstd * c.in[1][i] + c.in[2][i];
    c.out[1][row] = mean;
    c.out[2][row] = rstd;
  }
}
// dy, x, gamma, mean, rstd -> dx, dgamma, dbeta.
void layer_norm_backward(const DoubleCall& c) {
  const std::int64_t width = c.in_info[1].shape[-1];
  for (std::int64_t row = 0; row < c.in_info[1].shape.numel() / width; ++row) {
    const double *dy = c.in[0] + row * width, *x = c.in[1] + row * width, mean = c.in[3][row], rstd = c.in[4][row];
    double sum = 0, dot = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      const double normal = (x[i] - mean) * rstd;
      sum += dy[i] * c.in[2][i];
      dot += dy[i] * c.in[2][i] * normal;
      c.out[1][i] += dy[i] * normal;
      c.out[2][i] += dy[i];
    }
    const auto count = static_cast<double>(width);
    for (std::int64_t i = 0; i < width; ++i) {
      const double normal = (x[i] - mean) * rstd;
      c.out[0][row * width + i] = rstd * (dy[i] * c.in[2][i] - sum / count - normal * dot / count);
    }
  }
}

void matmul(const DoubleCall& c) {
  const Shape &a = c.in_info[0].shape, &b = c.in_info[1].shape, &y = c.out_info[0].shape;
  const bool ta = c.node.attrs.integer("transpose_a", 0) != 0, tb = c.node.attrs.integer("transpose_b", 0) != 0;
  const std::int64_t rows = y[-2], cols = y[-1], inner = ta ? a[-2] : a[-1];
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    const std::int64_t at = i / (rows * cols), row = i / cols % rows, col = i % cols;
    const double *left = c.in[0] + at * a[-1] * a[-2], *right = c.in[1] + at * b[-1] * b[-2];
    double sum = 0;
    for (std::int64_t k = 0; k < inner; ++k) {
      sum += left[ta ? k * rows + row : row * inner + k] * right[tb ? col * inner + k : k * cols + col];
    }
    c.out[0][i] = c.node.attrs.real("scale") * sum;
  }
}

// logits, labels, weights of the rows or none -> loss, correct, correct5, dlogits.
void softmax_cross_entropy(const DoubleCall& c) {
  const std::int64_t rows = c.in_info[0].shape[0], classes = c.in_info[0].shape[1];
  const double smoothing = c.node.attrs.real("label_smoothing");
  auto mean_over = static_cast<double>(c.node.attrs.integer("denominator", 0));
  const double* weights = c.in.size() > 2 ? c.in[2] : nullptr;
  if (mean_over == 0)
    mean_over = static_cast<double>(std::count_if(c.in[1], c.in[1] + rows, [](double l) { return l >= 0; }));
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto label = static_cast<std::int64_t>(c.in[1][row]);
    if (label < 0) continue;
    const double* logits = c.in[0] + row * classes;
    const double largest = *std::max_element(logits, logits + classes);
    double sum = 0;
    std::int64_t better = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      sum += std::exp(logits[k] - largest);
      better += logits[k] > logits[label] ? 1 : 0;
    }
    *c.out[1] += better < 1 ? 1 : 0;
    *c.out[2] += better < 5 ? 1 : 0;
    const double share_of_row = (weights == nullptr ? 1.0 : weights[row]) / mean_over;
    for (std::int64_t k = 0; k < classes; ++k) {
      const double target = smoothing / static_cast<double>(classes) + (k == label ? 1 - smoothing : 0);
      const double log_share = logits[k] - largest - std::log(sum);
      *c.out[0] -= target * log_share * share_of_row;
      c.out[3][row * classes + k] = (std::exp(log_share) - target) * share_of_row;
    }
  }
}

}  // namespace winnow::in_double
