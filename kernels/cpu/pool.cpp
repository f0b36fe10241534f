#include "kernels/cpu/pool.h"

#include <algorithm>

#include "kernels/cpu/vec.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

using Range = PoolShape::Range;

// Calls body(n, i, j, pixel) for every pixel of images height x width.
template <class Body>
void for_pixels(const PoolShape& s, std::int64_t height, std::int64_t width, int threads, const Body& body) {
  share_loop(threads, s.batch * height, [&](std::int64_t row) {
    for (std::int64_t j = 0; j < width; ++j) body(row / height, row % height, j, row * width + j);
  });
}

// Calls body(c, load, store) for every register of channels; only the last one may have fewer than kLanes of them.
template <class Body>
void for_channels(const PoolShape& s, const Body& body) {
  std::int64_t c = 0;
  for (; c + kLanes <= s.channels; c += kLanes) {
    body(
        c, [](const auto* from) { return load(from); }, [](auto* to, auto v) { store(to, v); });
  }
  const std::int64_t n = s.channels - c;
  if (n == 0) return;
  body(
      c, [n](const auto* from) { return load(from, n); }, [n](auto* to, auto v) { store(to, v, n); });
}

// The usual case, in which every element of the image is in one window at most and padding plays no part.
bool disjoint(const PoolShape& s) { return s.pad == 0 && s.stride >= s.kernel_h && s.stride >= s.kernel_w; }

// One more value of a window: a NaN wins, so that it is seen.
void take_larger(Vec& best, VecBits& place, Vec v, std::int64_t at) {
  const auto here = static_cast<std::uint32_t>(at);
  place = by_part([here](auto p, auto x, auto b) { return ((x > b) | (x != x)) ? decltype(p){} + here : p; }, place, v,
                  best);
  best = by_part([](auto b, auto x) { return ((x > b) | (x != x)) ? x : b; }, best, v);
}

// dx of disjoint windows: each dy goes to its winner. `kernel` is known to the compiler, or 0.
template <std::int64_t kernel, class T>
void scatter(const PoolShape& s, const T* dy, const std::uint8_t* winner, T* dx, int threads) {
  const std::int64_t out_h = s.out_height(), out_w = s.out_width();
  const std::int64_t kernel_h = kernel > 0 ? kernel : s.kernel_h, kernel_w = kernel > 0 ? kernel : s.kernel_w;
  const bool tiled =
      kernel_h == s.stride && kernel_w == s.stride && out_h * s.stride == s.height && out_w * s.stride == s.width;
  if (!tiled) std::fill_n(dx, s.batch * s.height * s.width * s.channels, T{});
  for_pixels(s, out_h, out_w, threads, [&](auto n, auto i, auto j, auto pixel) {
    T* corner = dx + ((n * s.height + i * s.stride) * s.width + j * s.stride) * s.channels;
    for_channels(s, [&](std::int64_t c, auto load, auto store) {
      const std::int64_t from = pixel * s.channels + c;
      const Vec g = load(dy + from);
      const VecBits place = __builtin_convertvector(load(winner + from), VecBits);
      for (std::int64_t h = 0; h < kernel_h; ++h) {
        for (std::int64_t w = 0; w < kernel_w; ++w) {
          store(corner + (h * s.width + w) * s.channels + c,
                where_equal(place, static_cast<std::uint32_t>(h * kernel_w + w), g));
        }
      }
    });
  });
}

// dx of windows that overlap: each pixel sums what it won.
template <class T>
void gather(const PoolShape& s, const T* dy, const std::uint8_t* winner, T* dx, int threads) {
  const std::int64_t out_h = s.out_height(), out_w = s.out_width();
  for_pixels(s, s.height, s.width, threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = s.covering(i, out_h, s.kernel_h), cols = s.covering(j, out_w, s.kernel_w);
    for_channels(s, [&](std::int64_t c, auto load, auto store) {
      Vec sum{};
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          const std::int64_t from = ((n * out_h + h) * out_w + w) * s.channels + c;
          const auto at =
              static_cast<std::uint32_t>((i - h * s.stride + s.pad) * s.kernel_w + (j - w * s.stride + s.pad));
          const VecBits place = __builtin_convertvector(load(winner + from), VecBits);
          sum += where_equal(place, at, load(dy + from));
        }
      }
      store(dx + pixel * s.channels + c, sum);
    });
  });
}

// Windows without padding; `kernel` is known to the compiler, or 0.
template <std::int64_t kernel, class T>
void max_inside(const PoolShape& s, const T* x, T* y, std::uint8_t* winner, int threads) {
  const std::int64_t kernel_h = kernel > 0 ? kernel : s.kernel_h, kernel_w = kernel > 0 ? kernel : s.kernel_w;
  for_pixels(s, s.out_height(), s.out_width(), threads, [&](auto n, auto i, auto j, auto pixel) {
    const T* corner = x + ((n * s.height + i * s.stride) * s.width + j * s.stride) * s.channels;
    for_channels(s, [&](std::int64_t c, auto load, auto store) {
      Vec best = splat(-__builtin_inff());
      VecBits place{};
      for (std::int64_t h = 0; h < kernel_h; ++h) {
        for (std::int64_t w = 0; w < kernel_w; ++w) {
          take_larger(best, place, load(corner + (h * s.width + w) * s.channels + c), h * kernel_w + w);
        }
      }
      store(y + pixel * s.channels + c, best);
      store(winner + pixel * s.channels + c, __builtin_convertvector(place, Bytes));
    });
  });
}

template <class T>
void max_padded(const PoolShape& s, const T* x, T* y, std::uint8_t* winner, int threads) {
  for_pixels(s, s.out_height(), s.out_width(), threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = s.inside(i, s.height, s.kernel_h), cols = s.inside(j, s.width, s.kernel_w);
    for_channels(s, [&](std::int64_t c, auto load, auto store) {
      // The first place inside wins where all values are minus infinity.
      Vec best = splat(-__builtin_inff());
      VecBits place = VecBits{} + static_cast<std::uint32_t>((rows.first - i * s.stride + s.pad) * s.kernel_w +
                                                             (cols.first - j * s.stride + s.pad));
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          take_larger(best, place, load(x + ((n * s.height + h) * s.width + w) * s.channels + c),
                      (h - i * s.stride + s.pad) * s.kernel_w + (w - j * s.stride + s.pad));
        }
      }
      store(y + pixel * s.channels + c, best);
      store(winner + pixel * s.channels + c, __builtin_convertvector(place, Bytes));
    });
  });
}

}  // namespace

template <class T>
void max_pool_forward(const PoolShape& s, const T* x, T* y, std::uint8_t* winner, int threads) {
  if (s.pad > 0) {
    max_padded(s, x, y, winner, threads);
  } else if (s.kernel_h == 2 && s.kernel_w == 2) {
    max_inside<2>(s, x, y, winner, threads);
  } else {
    max_inside<0>(s, x, y, winner, threads);
  }
}

template <class T>
void max_pool_backward(const PoolShape& s, const T* dy, const std::uint8_t* winner, T* dx, int threads) {
  if (!disjoint(s)) {
    gather(s, dy, winner, dx, threads);
  } else if (s.kernel_h == 2 && s.kernel_w == 2) {
    scatter<2>(s, dy, winner, dx, threads);
  } else {
    scatter<0>(s, dy, winner, dx, threads);
  }
}

template <class T>
void avg_pool_forward(const PoolShape& s, const T* x, T* y, int threads) {
  const Vec scale = splat(1.0f / static_cast<float>(s.kernel_h * s.kernel_w));
  for_pixels(s, s.out_height(), s.out_width(), threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = s.inside(i, s.height, s.kernel_h), cols = s.inside(j, s.width, s.kernel_w);
    for_channels(s, [&](std::int64_t c, auto load, auto store) {
      Vec sum{};
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          sum += load(x + ((n * s.height + h) * s.width + w) * s.channels + c);
        }
      }
      store(y + pixel * s.channels + c, sum * scale);
    });
  });
}

template <class T>
void avg_pool_backward(const PoolShape& s, const T* dy, T* dx, int threads) {
  const std::int64_t out_h = s.out_height(), out_w = s.out_width();
  const Vec scale = splat(1.0f / static_cast<float>(s.kernel_h * s.kernel_w));
  for_pixels(s, s.height, s.width, threads, [&](auto n, auto i, auto j, auto pixel) {
    const Range rows = s.covering(i, out_h, s.kernel_h), cols = s.covering(j, out_w, s.kernel_w);
    for_channels(s, [&](std::int64_t c, auto load, auto store) {
      Vec sum{};
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = cols.first; w < cols.last; ++w) {
          sum += load(dy + ((n * out_h + h) * out_w + w) * s.channels + c);
        }
      }
      store(dx + pixel * s.channels + c, sum * scale);
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
