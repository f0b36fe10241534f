// Convolution and linear layers in double precision, with their gradients; shapes as in core/ops/conv2d.cpp and
// core/ops/linear.cpp.
#include <algorithm>
#include <vector>

#include "core/double_ops.h"
#include "kernels/threads.h"

namespace winnow::in_double {
namespace {

struct Convolution {
  std::int64_t batch, height, width, in, out, kernel_h, kernel_w, stride, pad, groups;

  // From the shapes of x and of the weights.
  Convolution(const Shape& x, const Shape& w, const Attrs& attrs)
      : batch(x[0]),
        height(x[1]),
        width(x[2]),
        in(x[3]),
        out(w[0]),
        kernel_h(w[2]),
        kernel_w(w[3]),
        stride(attrs.integer("stride", 1)),
        pad(attrs.integer("pad", 0)),
        groups(attrs.integer("groups", 1)) {}
  std::int64_t out_height() const { return (height + 2 * pad - kernel_h) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * pad - kernel_w) / stride + 1; }
  std::int64_t in_of_group() const { return in / groups; }
  std::int64_t out_of_group() const { return out / groups; }
  std::int64_t taps() const { return kernel_h * kernel_w; }
};

// {group, tap, in of group, out of group}, so that outputs lie side by side; or with the last two exchanged.
std::vector<double> pack(const Convolution& s, const double* weights, bool inputs_last) {
  const std::int64_t ci = s.in_of_group(), co = s.out_of_group();
  std::vector<double> packed(static_cast<std::size_t>(s.out * ci * s.taps()));
  for (std::int64_t o = 0; o < s.out; ++o) {
    for (std::int64_t i = 0; i < ci; ++i) {
      for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
        const std::int64_t block = (o / co * s.taps() + tap) * ci * co;
        const std::int64_t at = block + (inputs_last ? o % co * ci + i : i * co + o % co);
        packed[static_cast<std::size_t>(at)] = weights[(o * ci + i) * s.taps() + tap];
      }
    }
  }
  return packed;
}

// sum[j] += factor * row[j]
void add_scaled(std::int64_t n, double factor, const double* row, double* sum) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) sum[j] += factor * row[j];
}

// to[j] += sum over i of factors[i] * matrix[i][j]
void add_product(std::int64_t rows, std::int64_t n, const double* factors, const double* matrix, double* to) {
  for (std::int64_t i = 0; i < rows; ++i) {
    if (factors[i] != 0) add_scaled(n, factors[i], matrix + i * n, to);
  }
}

void sum_rows(std::int64_t rows, std::int64_t n, const double* values, double* sum) {
  for (std::int64_t row = 0; row < rows; ++row) add_scaled(n, 1.0, values + row * n, sum);
}

}  // namespace

void conv2d(const DoubleCall& call) {
  const Convolution s(call.in_info[0].shape, call.in_info[1].shape, call.node.attrs);
  const std::int64_t ci = s.in_of_group(), co = s.out_of_group(), out_h = s.out_height(), out_w = s.out_width();
  const std::vector<double> weights = pack(s, call.in[1], false);
  const double *x = call.in[0], *bias = call.in.size() == 3 ? call.in[2] : nullptr;
  share_loop(call.threads, s.batch * out_h, [&](std::int64_t row) {
    const std::int64_t n = row / out_h, oy = row % out_h;
    for (std::int64_t ox = 0; ox < out_w; ++ox) {
      double* y = call.out[0] + (row * out_w + ox) * s.out;
      if (bias != nullptr) std::copy_n(bias, s.out, y);
      for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
        const std::int64_t iy = oy * s.stride - s.pad + tap / s.kernel_w, ix = ox * s.stride - s.pad + tap % s.kernel_w;
        if (iy < 0 || iy >= s.height || ix < 0 || ix >= s.width) continue;
        const double* from = x + ((n * s.height + iy) * s.width + ix) * s.in;
        for (std::int64_t g = 0; g < s.groups; ++g) {
          add_product(ci, co, from + g * ci, weights.data() + (g * s.taps() + tap) * ci * co, y + g * co);
        }
      }
    }
  });
  for (std::int64_t i = 0; call.out.size() == 2 && i < call.out_info[0].shape.numel(); ++i) {
    const double y = call.out[0][i];
    call.out[1][i % s.out] += y;
    call.out[1][s.out + i % s.out] += y * y;
  }
  if (call.node.attrs.integer("relu", 0) == 0) return;
  double* y = call.out[0];
  for (std::int64_t i = 0; i < call.out_info[0].shape.numel(); ++i) y[i] = y[i] < 0 ? 0.0 : y[i];
}

void conv2d_backward_data(const DoubleCall& call) {
  const Convolution s(call.out_info[0].shape, call.in_info[1].shape, call.node.attrs);
  const std::int64_t ci = s.in_of_group(), co = s.out_of_group(), out_h = s.out_height(), out_w = s.out_width();
  const std::vector<double> weights = pack(s, call.in[1], true);
  const double* dy = call.in[0];
  share_loop(call.threads, s.batch * s.height, [&](std::int64_t row) {
    const std::int64_t n = row / s.height, iy = row % s.height;
    for (std::int64_t ix = 0; ix < s.width; ++ix) {
      double* dx = call.out[0] + (row * s.width + ix) * s.in;
      for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
        const std::int64_t up = iy + s.pad - tap / s.kernel_w, left = ix + s.pad - tap % s.kernel_w;
        if (up < 0 || left < 0 || up % s.stride != 0 || left % s.stride != 0) continue;
        const std::int64_t oy = up / s.stride, ox = left / s.stride;
        if (oy >= out_h || ox >= out_w) continue;
        const double* from = dy + ((n * out_h + oy) * out_w + ox) * s.out;
        for (std::int64_t g = 0; g < s.groups; ++g) {
          add_product(co, ci, from + g * co, weights.data() + (g * s.taps() + tap) * ci * co, dx + g * ci);
        }
      }
    }
  });
}

void conv2d_backward_weights(const DoubleCall& call) {
  const Convolution s(call.in_info[0].shape, call.out_info[0].shape, call.node.attrs);
  const std::int64_t ci = s.in_of_group(), co = s.out_of_group(), out_h = s.out_height(), out_w = s.out_width();
  const double *x = call.in[0], *dy = call.in[1];
  // One row of sums for each input channel and tap: the gradients of all outputs of its group.
  share_loop(call.threads, s.in * s.taps(), [&](std::int64_t at) {
    const std::int64_t i = at / s.taps(), tap = at % s.taps(), g = i / ci;
    std::vector<double> sum(static_cast<std::size_t>(co), 0.0);
    for (std::int64_t row = 0; row < s.batch * out_h; ++row) {
      const std::int64_t n = row / out_h, iy = row % out_h * s.stride - s.pad + tap / s.kernel_w;
      if (iy < 0 || iy >= s.height) continue;
      for (std::int64_t ox = 0; ox < out_w; ++ox) {
        const std::int64_t ix = ox * s.stride - s.pad + tap % s.kernel_w;
        if (ix < 0 || ix >= s.width) continue;
        const double value = x[((n * s.height + iy) * s.width + ix) * s.in + i];
        if (value != 0) add_scaled(co, value, dy + (row * out_w + ox) * s.out + g * co, sum.data());
      }
    }
    for (std::int64_t o = 0; o < co; ++o) {
      call.out[0][((g * co + o) * ci + i % ci) * s.taps() + tap] = sum[static_cast<std::size_t>(o)];
    }
  });
  if (call.out.size() == 2) sum_rows(s.batch * out_h * out_w, s.out, dy, call.out[1]);
}

void linear(const DoubleCall& call) {
  const std::int64_t rows = call.in_info[0].shape[0], in = call.in_info[0].shape[1], out = call.out_info[0].shape[1];
  const double *x = call.in[0], *w = call.in[1], *bias = call.in.size() == 3 ? call.in[2] : nullptr;
  share_loop(call.threads, out, [&](std::int64_t o) {
    for (std::int64_t row = 0; row < rows; ++row) {
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < in; ++i) sum += x[row * in + i] * w[o * in + i];
      call.out[0][row * out + o] = sum + (bias == nullptr ? 0.0 : bias[o]);
    }
  });
}

void linear_backward_data(const DoubleCall& call) {
  const std::int64_t rows = call.in_info[0].shape[0], out = call.in_info[0].shape[1], in = call.out_info[0].shape[1];
  for (std::int64_t row = 0; row < rows; ++row) {
    add_product(out, in, call.in[0] + row * out, call.in[1], call.out[0] + row * in);
  }
}

void linear_backward_weights(const DoubleCall& call) {
  const std::int64_t rows = call.in_info[0].shape[0], in = call.in_info[0].shape[1], out = call.in_info[1].shape[1];
  const double *x = call.in[0], *dy = call.in[1];
  share_loop(call.threads, out, [&](std::int64_t o) {
    for (std::int64_t row = 0; row < rows; ++row) add_scaled(in, dy[row * out + o], x + row * in, call.out[0] + o * in);
  });
  if (call.out.size() == 2) sum_rows(rows, out, dy, call.out[1]);
}

}  // namespace winnow::in_double
