// Batch norm over the rows of an array {rows, channels}, fused with a residual sum and a ReLU, and its gradient. Sums are taken
// in float over chunks of rows, one thread a chunk and channel, neighbours on neighbouring channels, and the chunks are folded in
// double; the chunks are fixed by the shape. T is float or bf16. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"
#include "kernels/run_state.h"

namespace winnow {

// How rows are cut into chunks of `chunk_rows`.
struct RowChunks {
  std::int64_t rows, channels, chunk_rows;
  WINNOW_HD std::int64_t chunks() const { return (rows + chunk_rows - 1) / chunk_rows; }
  WINNOW_HD std::int64_t first(std::int64_t chunk) const { return chunk * chunk_rows; }
  WINNOW_HD std::int64_t last(std::int64_t chunk) const {
    return first(chunk) + chunk_rows < rows ? first(chunk) + chunk_rows : rows;
  }
};

template <class Number>
struct PairOf {
  Number first, second;
};
struct AddPairs {
  WINNOW_HD PairOf<double> operator()(PairOf<double> a, PairOf<double> b) const {
    return {a.first + b.first, a.second + b.second};
  }
};
// The chunks' sums of a channel, from {chunks, channels}.
struct LoadChunkSums {
  const PairOf<float>* sums;
  std::int64_t channels;
  WINNOW_HD PairOf<double> operator()(std::int64_t channel, std::int64_t chunk) const {
    const PairOf<float> at = sums[chunk * channels + channel];
    return {static_cast<double>(at.first), static_cast<double>(at.second)};
  }
};

// What a channel is multiplied by and what is added: y = x * scale + shift. Null gamma counts as 1, beta as 0.
struct BatchNormChannels {
  const float *gamma, *beta, *mean, *rstd;
  WINNOW_HD float scale(std::int64_t c) const { return (gamma == nullptr ? 1.0f : gamma[c]) * rstd[c]; }
  WINNOW_HD float shift(std::int64_t c) const { return (beta == nullptr ? 0.0f : beta[c]) - mean[c] * scale(c); }
};

// Sums of x - x[0] and of its square, which keeps a large mean from hiding a small variance.
template <class T>
struct BatchNormSums {
  RowChunks rows;
  const T* x;
  PairOf<float>* sums;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t chunk = i / rows.channels, c = i % rows.channels, last = rows.last(chunk);
    const float origin = to_float(x[c]);
    float sum = 0, squares = 0;
    for (std::int64_t row = rows.first(chunk); row < last; ++row) {
      const float d = to_float(x[row * rows.channels + c]) - origin;
      sum += d;
      squares += d * d;
    }
    sums[i] = {sum, squares};
  }
};

// Statistics of the batch from the sums of a channel; the running ones follow if that is fed.
template <class T>
struct StoreBatchStatistics {
  const T* x;
  std::int64_t rows;
  const double *eps, *momentum;
  float *mean, *rstd, *running_mean, *running_var;
  RunState* run;
  WINNOW_HD void operator()(std::int64_t c, PairOf<double> sums) const {
    const double n = static_cast<double>(rows), shift = sums.first / n;
    const double square = sums.second / n - shift * shift;
    const double variance = square < 0 ? 0.0 : square;  // NaN stays
    const double centre = static_cast<double>(to_float(x[c])) + shift;
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

template <class T>
struct BatchNormApply {
  RowChunks rows;
  BatchNormChannels channels;
  const T *x, *residual;  // residual may be null
  T* y;
  bool relu;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t chunk = i / rows.channels, c = i % rows.channels, last = rows.last(chunk);
    const float scale = channels.scale(c), shift = channels.shift(c);
    for (std::int64_t row = rows.first(chunk); row < last; ++row) {
      const std::int64_t at = row * rows.channels + c;
      float value = to_float(x[at]) * scale + shift;
      if (residual != nullptr) value += to_float(residual[at]);
      y[at] = from_float<T>(relu && value < 0 ? 0.0f : value);
    }
  }
};

// The gradient behind the ReLU, where that was open. Its sign is computed again from x, or read from y where a residual
// took part.
enum class ReluGate : std::uint8_t { None, FromX, FromY };
template <class T>
struct GatedGradient {
  const T *dy, *x, *y;
  ReluGate gate;
  WINNOW_HD float operator()(std::int64_t at, float scale, float shift) const {
    const float g = to_float(dy[at]);
    if (gate == ReluGate::None) return g;
    const float gated = gate == ReluGate::FromX ? to_float(x[at]) * scale + shift : to_float(y[at]);
    return gated <= 0 ? 0.0f : g;
  }
};

// Sums of the gradient g and of g * (x - mean).
template <class T>
struct BatchNormGradientSums {
  RowChunks rows;
  BatchNormChannels channels;
  GatedGradient<T> gradient;
  PairOf<float>* sums;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t chunk = i / rows.channels, c = i % rows.channels, last = rows.last(chunk);
    const float scale = channels.scale(c), shift = channels.shift(c), mean = channels.mean[c];
    float sum = 0, product = 0;
    for (std::int64_t row = rows.first(chunk); row < last; ++row) {
      const std::int64_t at = row * rows.channels + c;
      const float g = gradient(at, scale, shift);
      sum += g;
      product += g * (to_float(gradient.x[at]) - mean);
    }
    sums[i] = {sum, product};
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
template <class T>
struct BatchNormBackwardApply {
  RowChunks rows;
  BatchNormChannels channels;
  GatedGradient<T> gradient;
  const PairOf<float>* bend;
  T *dx, *dresidual;  // dresidual may be null
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t chunk = i / rows.channels, c = i % rows.channels, last = rows.last(chunk);
    const float scale = channels.scale(c), shift = channels.shift(c), mean = channels.mean[c];
    const float slope = bend[c].first, offset = bend[c].second;
    for (std::int64_t row = rows.first(chunk); row < last; ++row) {
      const std::int64_t at = row * rows.channels + c;
      const float g = gradient(at, scale, shift), centred = to_float(gradient.x[at]) - mean;
      if (dresidual != nullptr) dresidual[at] = from_float<T>(g);
      dx[at] = from_float<T>(scale * g + (slope * centred + offset));
    }
  }
};

}  // namespace winnow
