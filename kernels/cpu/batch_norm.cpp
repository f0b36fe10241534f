#include "kernels/cpu/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cpu/columns.h"

namespace winnow::cpu {
namespace {

// Per column of the wide view, in scratch: parameters of the element-wise passes, then partial sums by chunk.
struct Scratch {
  Scratch(const Columns& columns, std::byte* memory)
      : width(static_cast<std::size_t>(columns.padded_width())),
        channels(static_cast<std::size_t>(columns.channels())),
        params(reinterpret_cast<float*>(memory)),
        partials(params + kParams * width),
        totals(reinterpret_cast<double*>(partials + 2 * width * static_cast<std::size_t>(columns.chunks()))) {}
  static std::size_t bytes(const Columns& columns) {
    const auto width = static_cast<std::size_t>(columns.padded_width());
    return width * (kParams + 2 * static_cast<std::size_t>(columns.chunks())) * sizeof(float) +
           2 * static_cast<std::size_t>(columns.channels()) * sizeof(double);
  }
  float* param(std::size_t i) const { return params + i * width; }
  float* partial(std::int64_t chunk, std::size_t i) const {
    return partials + (2 * static_cast<std::size_t>(chunk) + i) * width;
  }
  double* total(std::size_t i) const { return totals + i * channels; }

  static constexpr std::size_t kParams = 5;
  std::size_t width, channels;
  float *params, *partials;
  double* totals;
};

// Writes value(channel) for every column of the wide view.
template <class Value>
void spread(const Columns& columns, float* to, const Value& value) {
  for (std::int64_t c = 0; c < columns.channels(); ++c) to[c] = value(c);
  for (std::int64_t c = columns.channels(); c < columns.width(); ++c) to[c] = to[c - columns.channels()];
}

// Folds the chunks' partial sums to one total a channel, in double and in the order of the chunks.
void fold(const Columns& columns, const Scratch& scratch) {
  for (std::size_t i = 0; i < 2; ++i) {
    double* total = scratch.total(i);
    std::fill_n(total, scratch.channels, 0.0);
    for (std::int64_t chunk = 0; chunk < columns.chunks(); ++chunk) {
      const float* partial = scratch.partial(chunk, i);
      for (std::int64_t first = 0; first < columns.width(); first += columns.channels()) {
        for (std::int64_t c = 0; c < columns.channels(); ++c) {
          total[c] += static_cast<double>(partial[first + c]);
        }
      }
    }
  }
}

float at(const float* values, std::int64_t c, float absent) { return values == nullptr ? absent : values[c]; }

// Batch statistics by sums of x - x[0], which keeps a large mean from hiding a small variance.
template <class T>
void batch_statistics(const BatchNormShape& s, const Columns& columns, const BatchNormForward<T>& io,
                      const Scratch& scratch, int threads) {
  float* origin = scratch.param(2);
  spread(columns, origin, [&](std::int64_t c) { return to_float(io.x[c]); });
  columns.each(threads, [&]<int registers, bool partial>(const ColumnBlock& block) {
    Vec from[registers], sum[registers] = {}, squares[registers] = {};
    for (int r = 0; r < registers; ++r) from[r] = block.load<partial>(origin, 0, r);
    for (std::int64_t row = block.first_row; row < block.last_row; ++row) {
      for (int r = 0; r < registers; ++r) {
        const Vec d = block.load<partial>(io.x, row, r) - from[r];
        sum[r] += d;
        squares[r] += d * d;
      }
    }
    for (int r = 0; r < registers; ++r) {
      block.store<partial>(scratch.partial(block.chunk, 0), 0, r, sum[r]);
      block.store<partial>(scratch.partial(block.chunk, 1), 0, r, squares[r]);
    }
  });
  fold(columns, scratch);
  const double n = static_cast<double>(s.rows);
  bool finite = true;
  for (std::int64_t c = 0; c < s.channels; ++c) {
    const double shift = scratch.total(0)[c] / n;
    const double square = scratch.total(1)[c] / n - shift * shift;
    const double variance = square < 0 ? 0.0 : square;  // NaN stays
    const double mean = static_cast<double>(origin[c]) + shift;
    io.mean[c] = static_cast<float>(mean);
    io.rstd[c] = static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(s.eps)));
    if (io.run->feed.update_statistics) {
      const double m = static_cast<double>(s.momentum), unbiased = variance * n / std::max(1.0, n - 1.0);
      io.running_mean[c] = static_cast<float>((1.0 - m) * static_cast<double>(io.running_mean[c]) + m * mean);
      io.running_var[c] = static_cast<float>((1.0 - m) * static_cast<double>(io.running_var[c]) + m * unbiased);
      finite = finite && !not_finite(io.running_mean[c]) && !not_finite(io.running_var[c]);
    }
  }
  if (!finite) mark_not_finite(io.run);
}

// y = x * scale + shift; the backward pass computes them again to know where the ReLU was open.
void scale_and_shift(const Columns& columns, const Scratch& scratch, const float* mean, const float* rstd,
                     const float* gamma, const float* beta) {
  spread(columns, scratch.param(0), [&](std::int64_t c) { return at(gamma, c, 1) * rstd[c]; });
  spread(columns, scratch.param(1),
         [&](std::int64_t c) { return at(beta, c, 0) - mean[c] * (at(gamma, c, 1) * rstd[c]); });
}

template <bool has_relu, bool has_residual, class T>
void apply(const Columns& columns, const BatchNormForward<T>& io, const Scratch& scratch, int threads) {
  columns.each(threads, [&]<int registers, bool partial>(const ColumnBlock& block) {
    Vec scale[registers], shift[registers];
    for (int r = 0; r < registers; ++r) {
      scale[r] = block.load<partial>(scratch.param(0), 0, r);
      shift[r] = block.load<partial>(scratch.param(1), 0, r);
    }
    for (std::int64_t row = block.first_row; row < block.last_row; ++row) {
      for (int r = 0; r < registers; ++r) {
        Vec y = block.load<partial>(io.x, row, r) * scale[r] + shift[r];
        if constexpr (has_residual) y += block.load<partial>(io.residual, row, r);
        if constexpr (has_relu) y = relu(y);
        block.store<partial>(io.y, row, r, y);
      }
    }
  });
}

enum class Gate : std::uint8_t { None, FromX, FromY };

// dy where the ReLU was open.
template <Gate gate, bool partial, class T>
Vec gated(const ColumnBlock& block, const BatchNormBackward<T>& io, std::int64_t row, int r, Vec x, Vec scale,
          Vec shift) {
  const Vec dy = block.load<partial>(io.dy, row, r);
  if constexpr (gate == Gate::None) return dy;
  if constexpr (gate == Gate::FromX) return where_open(x * scale + shift, dy);
  return where_open(block.load<partial>(io.y, row, r), dy);
}

// Sums of the gated gradient g and of g * (x - mean); stores g as the residual's gradient.
template <Gate gate, class T>
void backward_sums(const Columns& columns, const BatchNormBackward<T>& io, const Scratch& scratch, int threads) {
  columns.each(threads, [&]<int registers, bool partial>(const ColumnBlock& block) {
    Vec scale[registers], shift[registers], mean[registers], sum[registers] = {}, product[registers] = {};
    for (int r = 0; r < registers; ++r) {
      scale[r] = block.load<partial>(scratch.param(0), 0, r);
      shift[r] = block.load<partial>(scratch.param(1), 0, r);
      mean[r] = block.load<partial>(scratch.param(2), 0, r);
    }
    for (std::int64_t row = block.first_row; row < block.last_row; ++row) {
      for (int r = 0; r < registers; ++r) {
        const Vec x = block.load<partial>(io.x, row, r);
        const Vec g = gated<gate, partial>(block, io, row, r, x, scale[r], shift[r]);
        sum[r] += g;
        product[r] += g * (x - mean[r]);
        if (gate == Gate::FromY && io.dresidual != nullptr) block.store<partial>(io.dresidual, row, r, g);
      }
    }
    for (int r = 0; r < registers; ++r) {
      block.store<partial>(scratch.partial(block.chunk, 0), 0, r, sum[r]);
      block.store<partial>(scratch.partial(block.chunk, 1), 0, r, product[r]);
    }
  });
  fold(columns, scratch);
}

// dx = scale * g + slope * (x - mean) + offset.
template <Gate gate, class T>
void backward_apply(const Columns& columns, const BatchNormBackward<T>& io, const Scratch& scratch, int threads) {
  columns.each(threads, [&]<int registers, bool partial>(const ColumnBlock& block) {
    Vec scale[registers], shift[registers], mean[registers], slope[registers], offset[registers];
    for (int r = 0; r < registers; ++r) {
      scale[r] = block.load<partial>(scratch.param(0), 0, r);
      shift[r] = block.load<partial>(scratch.param(1), 0, r);
      slope[r] = block.load<partial>(scratch.param(3), 0, r);
      offset[r] = block.load<partial>(scratch.param(4), 0, r);
      mean[r] = block.load<partial>(scratch.param(2), 0, r);
    }
    for (std::int64_t row = block.first_row; row < block.last_row; ++row) {
      for (int r = 0; r < registers; ++r) {
        const Vec x = block.load<partial>(io.x, row, r);
        const Vec g = gated<gate, partial>(block, io, row, r, x, scale[r], shift[r]);
        block.store<partial>(io.dx, row, r, scale[r] * g + (slope[r] * (x - mean[r]) + offset[r]));
      }
    }
  });
}

template <Gate gate, class T>
void backward(const BatchNormShape& s, const Columns& columns, BatchNormBackward<T> io, const Scratch& scratch,
              int threads) {
  scale_and_shift(columns, scratch, io.mean, io.rstd, io.gamma, io.beta);
  spread(columns, scratch.param(2), [&](std::int64_t c) { return io.mean[c]; });
  backward_sums<gate>(columns, io, scratch, threads);
  for (std::int64_t c = 0; c < s.channels; ++c) {
    io.dbeta[c] = static_cast<float>(scratch.total(0)[c]);
    io.dgamma[c] = static_cast<float>(scratch.total(1)[c] * static_cast<double>(io.rstd[c]));
  }
  const double n = static_cast<double>(s.rows);
  const auto scale = [&](std::int64_t c) { return static_cast<double>(scratch.param(0)[c]); };
  spread(columns, scratch.param(3), [&](std::int64_t c) {
    const double rstd = static_cast<double>(io.rstd[c]);
    return s.running ? 0.0f : static_cast<float>(-scale(c) * rstd * rstd * scratch.total(1)[c] / n);
  });
  spread(columns, scratch.param(4),
         [&](std::int64_t c) { return s.running ? 0.0f : static_cast<float>(-scale(c) * scratch.total(0)[c] / n); });
  if (gate == Gate::FromY && io.dresidual != nullptr) {
    io.dy = io.dresidual;  // already gated
    backward_apply<Gate::None>(columns, io, scratch, threads);
  } else {
    backward_apply<gate>(columns, io, scratch, threads);
  }
}

}  // namespace

std::size_t BatchNormShape::scratch_bytes() const { return Scratch::bytes(Columns(rows, channels)); }

template <class T>
void batch_norm_forward(const BatchNormShape& s, const BatchNormForward<T>& io, std::byte* memory, int threads) {
  const Columns columns(s.rows, s.channels);
  const Scratch scratch(columns, memory);
  if (s.running) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      io.mean[c] = io.running_mean[c];
      io.rstd[c] = 1.0f / std::sqrt(io.running_var[c] + s.eps);
    }
  } else {
    batch_statistics(s, columns, io, scratch, threads);
  }
  scale_and_shift(columns, scratch, io.mean, io.rstd, io.gamma, io.beta);
  if (io.residual != nullptr) {
    s.relu ? apply<true, true>(columns, io, scratch, threads) : apply<false, true>(columns, io, scratch, threads);
  } else {
    s.relu ? apply<true, false>(columns, io, scratch, threads) : apply<false, false>(columns, io, scratch, threads);
  }
}

template <class T>
void batch_norm_backward(const BatchNormShape& s, const BatchNormBackward<T>& io, std::byte* memory, int threads) {
  const Columns columns(s.rows, s.channels);
  const Scratch scratch(columns, memory);
  if (!s.relu) {
    backward<Gate::None>(s, columns, io, scratch, threads);
  } else if (io.y == nullptr) {
    backward<Gate::FromX>(s, columns, io, scratch, threads);
  } else {
    backward<Gate::FromY>(s, columns, io, scratch, threads);
  }
}

template void batch_norm_forward(const BatchNormShape&, const BatchNormForward<float>&, std::byte*, int);
template void batch_norm_forward(const BatchNormShape&, const BatchNormForward<bf16>&, std::byte*, int);
template void batch_norm_backward(const BatchNormShape&, const BatchNormBackward<float>&, std::byte*, int);
template void batch_norm_backward(const BatchNormShape&, const BatchNormBackward<bf16>&, std::byte*, int);

}  // namespace winnow::cpu
