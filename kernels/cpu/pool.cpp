#include "kernels/cpu/pool.h"

#include <algorithm>

#include "kernels/cpu/vec.h"

namespace winnow::cpu {
namespace {

using Bytes = std::uint8_t __attribute__((vector_size(16)));

Bytes load_bytes(const std::uint8_t* from, std::int64_t n) {
  Bytes v{};
  if (n == kLanes) {
    __builtin_memcpy(&v, from, sizeof v);
  } else {
    for (std::int64_t i = 0; i < n; ++i) v[i] = from[i];
  }
  return v;
}
void store_bytes(std::uint8_t* to, Bytes v, std::int64_t n) {
  if (n == kLanes) {
    __builtin_memcpy(to, &v, sizeof v);
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i] = v[i];
  }
}
template <class T>
Vec load_lanes(const T* from, std::int64_t n) {
  return n == kLanes ? load(from) : load(from, n);
}
template <class T>
void store_lanes(T* to, Vec v, std::int64_t n) {
  if (n == kLanes) {
    store(to, v);
  } else {
    store(to, v, n);
  }
}

// The windows [first, last) that cover position `at` along one axis, or the part of a window inside
// the image.
struct Range {
  std::int64_t first, last;
};
Range inside(std::int64_t window, std::int64_t extent, std::int64_t kernel, const PoolShape& s) {
  const std::int64_t start = window * s.stride - s.pad;
  return {std::max<std::int64_t>(0, start), std::min(extent, start + kernel)};
}
Range covering(std::int64_t at, std::int64_t windows, std::int64_t kernel, const PoolShape& s) {
  const std::int64_t last = (at + s.pad) / s.stride;
  const std::int64_t first = std::max<std::int64_t>(0, at + s.pad - kernel + s.stride) / s.stride;
  return {first, std::min(windows, last + 1)};
}

// Calls body(n, i, j, pixel) for every pixel of images height x width.
template <class Body>
void for_pixels(const PoolShape& s, std::int64_t height, std::int64_t width, int threads,
                const Body& body) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (std::int64_t row = 0; row < s.batch * height; ++row) {
    for (std::int64_t j = 0; j < width; ++j) body(row / height, row % height, j, row * width + j);
  }
}

template <class Body>
void for_channels(const PoolShape& s, const Body& body) {
  for (std::int64_t c = 0; c < s.channels; c += kLanes) body(c, std::min(kLanes, s.channels - c));
}

}  // namespace

template <class T>
void max_pool_forward(const PoolShape& s, const T* x, T* y, std::uint8_t* winner, int threads) {
  for_pixels(s, s.out_height(), s.out_width(), threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = inside(i, s.height, s.kernel_h, s), cols = inside(j, s.width, s.kernel_w, s);
    for_channels(s, [&](std::int64_t c, std::int64_t lanes) {
      Vec best = splat(-__builtin_inff());
      VecBits place{};
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          const Vec v = load_lanes(x + ((n * s.height + h) * s.width + w) * s.channels + c, lanes);
          const auto at = static_cast<std::uint32_t>((h - i * s.stride + s.pad) * s.kernel_w +
                                                     (w - j * s.stride + s.pad));
          const auto better = ~(v <= best);  // a NaN wins, so that it is seen
          best = better ? v : best;
          place = better ? VecBits{} + at : place;
        }
      }
      store_lanes(y + pixel * s.channels + c, best, lanes);
      store_bytes(winner + pixel * s.channels + c, __builtin_convertvector(place, Bytes), lanes);
    });
  });
}

template <class T>
void max_pool_backward(const PoolShape& s, const T* dy, const std::uint8_t* winner, T* dx,
                       int threads) {
  const std::int64_t out_h = s.out_height(), out_w = s.out_width();
  for_pixels(s, s.height, s.width, threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = covering(i, out_h, s.kernel_h, s), cols = covering(j, out_w, s.kernel_w, s);
    for_channels(s, [&](std::int64_t c, std::int64_t lanes) {
      Vec sum{};
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          const std::int64_t from = ((n * out_h + h) * out_w + w) * s.channels + c;
          const auto at = static_cast<std::uint32_t>((i - h * s.stride + s.pad) * s.kernel_w +
                                                     (j - w * s.stride + s.pad));
          const VecBits place = __builtin_convertvector(load_bytes(winner + from, lanes), VecBits);
          sum += place == at ? load_lanes(dy + from, lanes) : Vec{};
        }
      }
      store_lanes(dx + pixel * s.channels + c, sum, lanes);
    });
  });
}

template <class T>
void avg_pool_forward(const PoolShape& s, const T* x, T* y, int threads) {
  const Vec scale = splat(1.0f / static_cast<float>(s.kernel_h * s.kernel_w));
  for_pixels(s, s.out_height(), s.out_width(), threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = inside(i, s.height, s.kernel_h, s), cols = inside(j, s.width, s.kernel_w, s);
    for_channels(s, [&](std::int64_t c, std::int64_t lanes) {
      Vec sum{};
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          sum += load_lanes(x + ((n * s.height + h) * s.width + w) * s.channels + c, lanes);
        }
      }
      store_lanes(y + pixel * s.channels + c, sum * scale, lanes);
    });
  });
}

template <class T>
void avg_pool_backward(const PoolShape& s, const T* dy, T* dx, int threads) {
  const std::int64_t out_h = s.out_height(), out_w = s.out_width();
  const Vec scale = splat(1.0f / static_cast<float>(s.kernel_h * s.kernel_w));
  for_pixels(s, s.height, s.width, threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = covering(i, out_h, s.kernel_h, s), cols = covering(j, out_w, s.kernel_w, s);
    for_channels(s, [&](std::int64_t c, std::int64_t lanes) {
      Vec sum{};
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          sum += load_lanes(dy + ((n * out_h + h) * out_w + w) * s.channels + c, lanes);
        }
      }
      store_lanes(dx + pixel * s.channels + c, sum * scale, lanes);
    });
  });
}

#define WINNOW_POOL(T)                                                                       \
  template void max_pool_forward(const PoolShape&, const T*, T*, std::uint8_t*, int);        \
  template void max_pool_backward(const PoolShape&, const T*, const std::uint8_t*, T*, int); \
  template void avg_pool_forward(const PoolShape&, const T*, T*, int);                       \
  template void avg_pool_backward(const PoolShape&, const T*, T*, int);
WINNOW_POOL(float)
WINNOW_POOL(bf16)
#undef WINNOW_POOL

}  // namespace winnow::cpu
