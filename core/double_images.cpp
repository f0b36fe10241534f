// Ops on images in double precision: order of axes, batch norm, pooling, shortcuts, channel routing.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/double_ops.h"
#include "core/error.h"

namespace winnow::in_double {
// {images, rows, columns} of channels to {images, columns, rows}.
static void transpose(const DoubleCall& c, std::int64_t images, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t n = 0; n < images; ++n) {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t k = 0; k < columns; ++k) {
        c.out[0][(n * columns + k) * rows + r] = c.in[0][(n * rows + r) * columns + k];
      }
    }
  }
}
void flatten(const DoubleCall& c) {
  const Shape& x = c.in_info[0].shape;
  transpose(c, x[0], x[1] * x[2], x[3]);
}
void unflatten(const DoubleCall& c) {
  const Shape& x = c.out_info[0].shape;
  transpose(c, x[0], x[3], x[1] * x[2]);
}

static void require_plain(const DoubleCall& c) {
  const bool sums = c.node.op == "batch_norm_backward" && c.in.size() > 7;
  if (!sums && c.node.attrs.integer("relu", 0) == 0 && c.node.attrs.integer("residual", 0) == 0) return;
  fail(ErrorKind::Settings, "node '{}': in double precision batch norm stands alone", c.node.name);
}
static double rows_of(const Shape& shape) {
  const std::int64_t rows = shape.numel() / shape[-1];
  return static_cast<double>(rows);
}
static double or_one(const double* values, std::int64_t i) { return values == nullptr ? 1.0 : values[i]; }

void batch_norm(const DoubleCall& c) {
  require_plain(c);
  const std::int64_t channels = c.in_info[0].shape[-1], numel = c.in_info[0].shape.numel();
  const double *x = c.in[0], *gamma = c.in[1], *beta = c.in[2];
  double *mean = c.out[1], *rstd = c.out[2];
  std::vector<double> variance(static_cast<std::size_t>(channels));
  if (c.node.attrs.integer("running", 0) != 0) {
    std::copy_n(c.in[3], channels, mean);
    std::copy_n(c.in[4], channels, variance.begin());
  } else {
    const double rows = rows_of(c.in_info[0].shape);
    for (std::int64_t i = 0; i < numel; ++i) mean[i % channels] += x[i] / rows;
    for (std::int64_t i = 0; i < numel; ++i) {
      const double off = x[i] - mean[i % channels];
      variance[static_cast<std::size_t>(i % channels)] += off * off / rows;
    }
  }
  for (std::int64_t k = 0; k < channels; ++k) {
    rstd[k] = 1 / std::sqrt(variance[static_cast<std::size_t>(k)] + c.node.attrs.real("eps"));
  }
  for (std::int64_t i = 0; i < numel; ++i) {
    const std::int64_t k = i % channels;
    c.out[0][i] = (x[i] - mean[k]) * rstd[k] * or_one(gamma, k) + (beta == nullptr ? 0.0 : beta[k]);
  }
}
// dy, x, y, gamma, beta, mean, rstd -> dx, dgamma, dbeta.
void batch_norm_backward(const DoubleCall& c) {
  require_plain(c);
  const std::int64_t channels = c.in_info[0].shape[-1], numel = c.out_info[0].shape.numel();
  const double *dy = c.in[0], *x = c.in[1], *gamma = c.in[3], *mean = c.in[5], *rstd = c.in[6];
  double *dx = c.out[0], *dgamma = c.out[1], *dbeta = c.out[2];
  for (std::int64_t i = 0; i < numel; ++i) {
    const std::int64_t k = i % channels;
    dgamma[k] += dy[i] * (x[i] - mean[k]) * rstd[k];
    dbeta[k] += dy[i];
  }
  // Statistics of the batch depend on x, too.
  const double rows = c.node.attrs.integer("running", 0) != 0 ? HUGE_VAL : rows_of(c.out_info[0].shape);
  for (std::int64_t i = 0; i < numel; ++i) {
    const std::int64_t k = i % channels;
    const double through = (dbeta[k] + (x[i] - mean[k]) * rstd[k] * dgamma[k]) / rows;
    dx[i] = (dy[i] - through) * rstd[k] * or_one(gamma, k);
  }
}

// Calls body(pixel of y, place in the window, pixel of x) for every position of every window inside the image.
static void for_windows(const Shape& x, const Attrs& attrs,
                        const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& body) {
  const bool whole = !attrs.has("kernel");
  const std::int64_t kernel_h = whole ? x[1] : attrs.integer("kernel"), kernel_w = whole ? x[2] : kernel_h;
  const std::int64_t stride = whole ? 1 : attrs.integer("stride", kernel_h), pad = whole ? 0 : attrs.integer("pad", 0);
  const std::int64_t out_h = (x[1] + 2 * pad - kernel_h) / stride + 1, out_w = (x[2] + 2 * pad - kernel_w) / stride + 1;
  for (std::int64_t at = 0; at < x[0] * out_h * out_w; ++at) {
    const std::int64_t n = at / (out_h * out_w), oy = at / out_w % out_h, ox = at % out_w;
    for (std::int64_t place = 0; place < kernel_h * kernel_w; ++place) {
      const std::int64_t iy = oy * stride - pad + place / kernel_w, ix = ox * stride - pad + place % kernel_w;
      if (iy < 0 || iy >= x[1] || ix < 0 || ix >= x[2]) continue;
      body(at, place, (n * x[1] + iy) * x[2] + ix);
    }
  }
}
static double window_size(const Shape& x, const Attrs& attrs) {
  const auto square = [](std::int64_t k) { return static_cast<double>(k * k); };
  return attrs.has("kernel") ? square(attrs.integer("kernel")) : static_cast<double>(x[1] * x[2]);
}

void max_pool(const DoubleCall& c) {
  const std::int64_t channels = c.in_info[0].shape[3];
  std::fill_n(c.out[0], c.out_info[0].shape.numel(), -HUGE_VAL);
  for_windows(c.in_info[0].shape, c.node.attrs, [&](auto to, auto place, auto from) {
    for (std::int64_t k = 0; k < channels; ++k) {
      const double value = c.in[0][from * channels + k];
      double& best = c.out[0][to * channels + k];
      if (!(value > best) && !std::isnan(value)) continue;
      best = value;
      c.out[1][to * channels + k] = static_cast<double>(place);
    }
  });
}
void max_pool_backward(const DoubleCall& c) {
  const std::int64_t channels = c.out_info[0].shape[3];
  for_windows(c.out_info[0].shape, c.node.attrs, [&](auto to, auto place, auto from) {
    for (std::int64_t k = 0; k < channels; ++k) {
      const std::int64_t at = to * channels + k;
      if (c.in[1][at] == static_cast<double>(place)) c.out[0][from * channels + k] += c.in[0][at];
    }
  });
}
void avg_pool(const DoubleCall& c) {
  const std::int64_t channels = c.in_info[0].shape[3];
  const double size = window_size(c.in_info[0].shape, c.node.attrs);
  for_windows(c.in_info[0].shape, c.node.attrs, [&](auto to, auto, auto from) {
    for (std::int64_t k = 0; k < channels; ++k) c.out[0][to * channels + k] += c.in[0][from * channels + k] / size;
  });
}
void avg_pool_backward(const DoubleCall& c) {
  const std::int64_t channels = c.out_info[0].shape[3];
  const double size = window_size(c.out_info[0].shape, c.node.attrs);
  for_windows(c.out_info[0].shape, c.node.attrs, [&](auto to, auto, auto from) {
    for (std::int64_t k = 0; k < channels; ++k) c.out[0][from * channels + k] += c.in[0][to * channels + k] / size;
  });
}

// Calls body(element of the small image, element of the large one) for what a shortcut keeps of the large one.
static void for_shortcut(const Shape& from, const Shape& to, const Attrs& attrs,
                         const std::function<void(std::int64_t, std::int64_t)>& body) {
  const std::int64_t stride = attrs.integer("stride"), front = attrs.integer("front", (to[3] - from[3]) / 2);
  for (std::int64_t pixel = 0; pixel < to[0] * to[1] * to[2]; ++pixel) {
    const std::int64_t n = pixel / (to[1] * to[2]), i = pixel / to[2] % to[1], j = pixel % to[2];
    for (std::int64_t k = 0; k < from[3]; ++k) {
      body(((n * from[1] + i * stride) * from[2] + j * stride) * from[3] + k, pixel * to[3] + front + k);
    }
  }
}
void shortcut_pad(const DoubleCall& c) {
  for_shortcut(c.in_info[0].shape, c.out_info[0].shape, c.node.attrs,
               [&](auto from, auto to) { c.out[0][to] = c.in[0][from]; });
}
void shortcut_pad_backward(const DoubleCall& c) {
  for_shortcut(c.out_info[0].shape, c.in_info[0].shape, c.node.attrs,
               [&](auto from, auto to) { c.out[0][from] = c.in[0][to]; });
}

// The k channels of highest score of each sample, best first, equal scores in the order of the channels.
void top_channels(const DoubleCall& c) {
  const std::int64_t channels = c.in_info[0].shape[1], k = c.out_info[0].shape[1];
  for (std::int64_t n = 0; n < c.in_info[0].shape[0]; ++n) {
    const double* score = c.in[0] + n * channels;
    std::vector<std::int64_t> order(static_cast<std::size_t>(channels));
    for (std::int64_t i = 0; i < channels; ++i) order[static_cast<std::size_t>(i)] = i;
    std::ranges::stable_sort(order, std::greater<>(), [&](std::int64_t i) { return score[i]; });
    for (std::int64_t j = 0; j < k; ++j) c.out[0][n * k + j] = static_cast<double>(order[static_cast<std::size_t>(j)]);
  }
}
// Calls body(element of the k selected channels, element of all channels that belongs to it, element of {n, c}) for
// all pixels of `wide`; `fusion` as in kernels/functors/channel_routing.h, empty: a channel's own place.
static void for_selected(const Shape& wide, const double* index, std::int64_t k, const std::string& fusion,
                         const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& body) {
  const std::int64_t channels = wide[3], area = wide[1] * wide[2];
  for (std::int64_t pixel = 0; pixel < wide[0] * area; ++pixel) {
    for (std::int64_t j = 0; j < k; ++j) {
      const auto own = static_cast<std::int64_t>(index[pixel / area * k + j]);
      const std::int64_t place = fusion == "first_k" ? j : fusion == "last_k" ? channels - k + j : own;
      body(pixel * k + j, pixel * channels + place, pixel / area * channels + own);
    }
  }
}
void gather_channels(const DoubleCall& c) {
  for_selected(c.in_info[0].shape, c.in[1], c.out_info[0].shape[3], "",
               [&](auto part, auto whole, auto) { c.out[0][part] = c.in[0][whole]; });
}
void scatter_channels(const DoubleCall& c) {
  for_selected(c.out_info[0].shape, c.in[1], c.in_info[0].shape[3], "",
               [&](auto part, auto whole, auto) { c.out[0][whole] = c.in[0][part]; });
}
void fuse_channels(const DoubleCall& c) {
  std::copy_n(c.in[0], c.in_info[0].shape.numel(), c.out[0]);
  for_selected(c.in_info[0].shape, c.in[3], c.in_info[1].shape[3], c.node.attrs.text("fusion"),
               [&](auto part, auto whole, auto score) { c.out[0][whole] += c.in[1][part] * c.in[2][score]; });
}
void fuse_channels_backward_block(const DoubleCall& c) {
  for_selected(c.in_info[0].shape, c.in[2], c.out_info[0].shape[3], c.node.attrs.text("fusion"),
               [&](auto part, auto whole, auto score) { c.out[0][part] = c.in[0][whole] * c.in[1][score]; });
}
void fuse_channels_backward_scores(const DoubleCall& c) {
  for_selected(c.in_info[0].shape, c.in[2], c.in_info[1].shape[3], c.node.attrs.text("fusion"),
               [&](auto part, auto whole, auto score) { c.out[0][score] += c.in[0][whole] * c.in[1][part]; });
}

}  // namespace winnow::in_double
