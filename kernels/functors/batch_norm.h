// Batch norm over the rows of an array {rows, channels}, fused with a residual sum and a ReLU, and its gradient. What is summed
// stands in the order of fold_columns.h; neighbouring threads go over neighbouring vectors of channels. T is float or bf16. Single
// source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/functors/fold_columns.h"
#include "kernels/functors/vector.h"
#include "kernels/portable.h"
#include "kernels/run_state.h"

namespace winnow {

// What a channel is multiplied by and what is added: y = x * scale + shift. Null gamma counts as 1, beta as 0.
struct BatchNormChannels {
  const float *gamma, *beta, *mean, *rstd;
  WINNOW_HD float scale(std::int64_t c) const { return (gamma == nullptr ? 1.0f : gamma[c]) * rstd[c]; }
  WINNOW_HD float shift(std::int64_t c) const { return (beta == nullptr ? 0.0f : beta[c]) - mean[c] * scale(c); }
};

// Those of neighbouring channels.
template <int width>
struct ChannelsOfVector {
  float scale[width], shift[width];
  WINNOW_HD ChannelsOfVector(const BatchNormChannels& channels, std::int64_t c) {
    for (int k = 0; k < width; ++k) {
      scale[k] = channels.scale(c + k);
      shift[k] = channels.shift(c + k);
    }
  }
};

// Sums of x - x[0] and of its square, which keeps a large mean from hiding a small variance.
template <class T>
struct BatchNormSums {
  const T* x;
  std::int64_t channels;

  template <int width>
  struct Columns {
    const T* x;
    std::int64_t channels;
    float origin[width];
    WINNOW_HD void add(std::int64_t row, float* sum, float* squares) const {
      const auto at = load_vector<width>(x + row * channels);
      for (int k = 0; k < width; ++k) {
        const float d = to_float(at.element[k]) - origin[k];
        sum[k] += d;
        squares[k] += d * d;
      }
    }
  };
  template <int width>
  WINNOW_HD Columns<width> columns(std::int64_t c) const {
    Columns<width> made{x + c, channels, {}};
    for (int k = 0; k < width; ++k) made.origin[k] = to_float(x[c + k]);
    return made;
  }
};

// Statistics of the batch from sums about `origin`; the running ones follow if that is fed.
struct BatchStatistics {
  std::int64_t rows;
  const double *eps, *momentum;
  float *mean, *rstd, *running_mean, *running_var;
  RunState* run;
  WINNOW_HD void set(std::int64_t c, float origin, PairOf<double> sums) const {
    const double n = static_cast<double>(rows), shift = sums.first / n;
    const double square = sums.second / n - shift * shift;
    const double variance = square < 0 ? 0.0 : square;  // NaN stays
    const double centre = static_cast<double>(origin) + shift;
    mean[c] = static_cast<float>(centre);
    rstd[c] = static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(static_cast<float>(*eps))));
    if (!run->feed.update_statistics || run->status.stopped != 0) return;
    const double m = static_cast<double>(static_cast<float>(*momentum));
    const double unbiased = variance * n / (rows > 1 ? n - 1.0 : 1.0);
    running_mean[c] = static_cast<float>((1.0 - m) * static_cast<double>(running_mean[c]) + m * centre);
    running_var[c] = static_cast<float>((1.0 - m) * static_cast<double>(running_var[c]) + m * unbiased);
    if (not_finite(running_mean[c]) || not_finite(running_var[c])) mark_not_finite(run);
  }
};

template <class T>
struct StoreBatchStatistics {
  const T* x;
  BatchStatistics statistics;
  WINNOW_HD void operator()(std::int64_t c, PairOf<double> sums) const { statistics.set(c, to_float(x[c]), sums); }
};

// By channel: from {2, channels}, sums of x and of x * x that come with it. A mean that is k deviations from zero costs their
// difference log2(k * k) bits.
struct StatisticsFromSums {
  const float* sums;
  std::int64_t channels;
  BatchStatistics statistics;
  WINNOW_HD void operator()(std::int64_t c) const {
    statistics.set(c, 0.0f, {static_cast<double>(sums[c]), static_cast<double>(sums[channels + c])});
  }
};

// By channel: the running statistics stand for those of the batch.
struct UseRunningStatistics {
  const float *running_mean, *running_var;
  float *mean, *rstd;
  const double* eps;
  WINNOW_HD void operator()(std::int64_t c) const {
    mean[c] = running_mean[c];
    rstd[c] = 1.0f / std::sqrt(running_var[c] + static_cast<float>(*eps));
  }
};

// Which rows a thread of an elementwise pass takes, so that neighbours are on neighbouring vectors: `i` is a vector of channels
// and the first of the rows, which are `stride` apart.
struct RowSteps {
  std::int64_t rows, channels, stride;
  template <int width>
  WINNOW_HD std::int64_t channel(std::int64_t i) const {
    return i % (channels / width) * width;
  }
  template <int width>
  WINNOW_HD std::int64_t first_row(std::int64_t i) const {
    return i / (channels / width);
  }
};

template <class T, int width>
struct BatchNormApply {
  RowSteps steps;
  BatchNormChannels channels;
  const T *x, *residual;  // residual may be null
  T* y;
  bool relu;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t c = steps.channel<width>(i);
    const ChannelsOfVector<width> of(channels, c);
    for (std::int64_t row = steps.first_row<width>(i); row < steps.rows; row += steps.stride) {
      const std::int64_t at = row * steps.channels + c;
      const auto in = load_vector<width>(x + at);
      VectorOf<width, T> add{}, out;
      if (residual != nullptr) add = load_vector<width>(residual + at);
      for (int k = 0; k < width; ++k) {
        float value = to_float(in.element[k]) * of.scale[k] + of.shift[k];
        if (residual != nullptr) value += to_float(add.element[k]);
        out.element[k] = from_float<T>(relu && value < 0 ? 0.0f : value);
      }
      store_vector(y + at, out);
    }
  }
};

// The gradient behind the ReLU, where that was open. Its sign is computed again from x, or read from y where a residual
// took part. The gradient may come as two parts, whose sum is rounded as an `add` would have it.
enum class ReluGate : std::uint8_t { None, FromX, FromY };
template <class T>
struct GatedGradient {
  const T *dy, *more;  // more may be null
  const T *x, *y;
  ReluGate gate;

  template <int width>
  struct Values {
    float g[width], x[width];
  };
  template <int width>
  WINNOW_HD Values<width> values(std::int64_t at, const ChannelsOfVector<width>& of) const {
    const auto dys = load_vector<width>(dy + at), xs = load_vector<width>(x + at);
    VectorOf<width, T> mores{}, ys{};
    if (more != nullptr) mores = load_vector<width>(more + at);
    if (gate == ReluGate::FromY) ys = load_vector<width>(y + at);
    Values<width> made;
    for (int k = 0; k < width; ++k) {
      made.x[k] = to_float(xs.element[k]);
      made.g[k] = to_float(dys.element[k]);
      if (more != nullptr) made.g[k] = to_float(from_float<T>(made.g[k] + to_float(mores.element[k])));
      if (gate == ReluGate::None) continue;
      const float gated = gate == ReluGate::FromX ? made.x[k] * of.scale[k] + of.shift[k] : to_float(ys.element[k]);
      if (gated <= 0) made.g[k] = 0.0f;
    }
    return made;
  }
};

// Sums of the gradient g and of g * (x - mean). The residual's gradient is g.
template <class T>
struct BatchNormGradientSums {
  BatchNormChannels of;
  GatedGradient<T> gradient;
  std::int64_t channels;
  T* dresidual;  // may be null

  template <int width>
  struct Columns {
    GatedGradient<T> gradient;
    std::int64_t channels, first;
    T* dresidual;
    ChannelsOfVector<width> of;
    float mean[width];
    WINNOW_HD void add(std::int64_t row, float* sum, float* product) const {
      const std::int64_t at = row * channels + first;
      const auto values = gradient.template values<width>(at, of);
      VectorOf<width, T> out;
      for (int k = 0; k < width; ++k) {
        sum[k] += values.g[k];
        product[k] += values.g[k] * (values.x[k] - mean[k]);
        out.element[k] = from_float<T>(values.g[k]);
      }
      if (dresidual != nullptr) store_vector(dresidual + at, out);
    }
  };
  template <int width>
  WINNOW_HD Columns<width> columns(std::int64_t c) const {
    Columns<width> made{gradient, channels, c, dresidual, {of, c}, {}};
    for (int k = 0; k < width; ++k) made.mean[k] = of.mean[c + k];
    return made;
  }
};

// Gradients of gamma and beta; and by how much the batch's own statistics bend dx: slope * (x - mean) + offset.
struct StoreBatchNormGradients {
  BatchNormChannels channels;
  std::int64_t rows;
  bool running;
  float *dgamma, *dbeta;
  PairOf<float>* bend;
  WINNOW_HD void operator()(std::int64_t c, PairOf<double> sums) const {
    const double n = static_cast<double>(rows), rstd = static_cast<double>(channels.rstd[c]);
    const double scale = static_cast<double>(channels.scale(c));
    dbeta[c] = static_cast<float>(sums.first);
    dgamma[c] = static_cast<float>(sums.second * rstd);
    bend[c] = {running ? 0.0f : static_cast<float>(-scale * rstd * rstd * sums.second / n),
               running ? 0.0f : static_cast<float>(-scale * sums.first / n)};
  }
};

// May run in place of dy.
template <class T, int width>
struct BatchNormBackwardApply {
  RowSteps steps;
  BatchNormChannels channels;
  GatedGradient<T> gradient;
  const PairOf<float>* bend;
  const T* plus;  // null: nothing is added to dx. Rounded as an `add` of both would have it.
  T* dx;
  // For dry runs: memory that is written and not read.
  const void* overwritten() const { return dx == gradient.dy ? nullptr : dx; }
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t c = steps.channel<width>(i);
    const ChannelsOfVector<width> of(channels, c);
    float mean[width], slope[width], offset[width];
    for (int k = 0; k < width; ++k) {
      mean[k] = channels.mean[c + k];
      slope[k] = bend[c + k].first;
      offset[k] = bend[c + k].second;
    }
    for (std::int64_t row = steps.first_row<width>(i); row < steps.rows; row += steps.stride) {
      const std::int64_t at = row * steps.channels + c;
      const auto values = gradient.template values<width>(at, of);
      VectorOf<width, T> add{}, out;
      if (plus != nullptr) add = load_vector<width>(plus + at);
      for (int k = 0; k < width; ++k) {
        const float bent = slope[k] * (values.x[k] - mean[k]) + offset[k];
        out.element[k] = from_float<T>(of.scale[k] * values.g[k] + bent);
        if (plus != nullptr) out.element[k] = from_float<T>(to_float(add.element[k]) + to_float(out.element[k]));
      }
      store_vector(dx + at, out);
    }
  }
};

}  // namespace winnow
