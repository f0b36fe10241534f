// Chunks: neighbouring elements that one thread of a device takes in one access an operand, of up to 16 bytes.
//
// A functor that at element i touches entry i of some arrays says which these are:
//   WINNOW_HD auto operands(const auto& run) { return run(a, b, y); }
// Those behind pointers to const are read, the others are written and not read, every entry; ones that are null are not among
// them. A chunk is loaded into registers, the functor runs on these as if they were its arrays, and what it wrote is stored. So
// a functor stays one definition of one element, and a chunk gives the bits of its elements. Where an array is not aligned to a
// chunk, and for what is left at the end, elements are taken one by one. A functor to which i means more has start_at(begin):
// element i of a chunk is begin + i of all.
//
// Single source for CPU and CUDA; loops of the CPU have no need of it. No state.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/functors/vector.h"
#include "kernels/portable.h"

namespace winnow {

inline constexpr int kChunkBytes = 16;

// Where an entry of an array of rows lies. From one that is known, others of its row are found without a division.
struct RowAndColumn {
  std::int64_t row = 0, col = 0;
  WINNOW_HD RowAndColumn plus(std::int64_t i, std::int64_t cols) const {
    const std::int64_t at = col + i;
    return at < cols ? RowAndColumn{row, at} : RowAndColumn{row + at / cols, at % cols};
  }
};

// The most elements of which no operand has more than 16 bytes: then each is one access, and neighbouring threads are on
// neighbouring memory.
struct ElementsOfChunk {
  template <class... T>
  WINNOW_HD auto operator()(T*&...) const {
    constexpr int bytes[] = {sizeof(T)...};
    constexpr auto widest = [](const auto& all) {
      int most = 0;
      for (const int one : all) most = one > most ? one : most;
      return most;
    };
    return std::integral_constant<int, kChunkBytes / widest(bytes)>{};
  }
};
template <class Body>
concept HasOperands = requires(Body body) {
  body.operands(ElementsOfChunk{});
};
template <class Body>
inline constexpr int kChunk = 1;
template <HasOperands Body>
inline constexpr int kChunk<Body> = decltype(std::declval<Body&>().operands(ElementsOfChunk{}))::value;

// Chunks that hold n elements, the last of them perhaps in part.
template <class Body>
constexpr std::int64_t chunks_of(std::int64_t n) {
  return (n + kChunk<Body> - 1) / kChunk<Body>;
}

// Whether all operands may be accessed by vectors.
template <HasOperands Body>
WINNOW_HD bool is_aligned(Body body) {
  return body.operands([](const auto*... operand) {
    return ((reinterpret_cast<std::uintptr_t>(operand) % (sizeof *operand * kChunk<Body>) == 0) && ...);
  });
}

// Calls run() with the operands pointing to copies of their elements from i on, and stores those that are written. Operands are
// never null: a pointer that may be one of two keeps nvcc from taking copies for registers.
template <int width, class Run>
WINNOW_HD void on_vectors(std::int64_t, const Run& run) {
  run();
}
template <int width, class Run, class First, class... Rest>
WINNOW_HD void on_vectors(std::int64_t i, const Run& run, First*& operand, Rest*&... rest) {
  constexpr bool is_read = std::is_const_v<First>;
  First* const array = operand;
  VectorOf<width, std::remove_const_t<First>> copy;
  if constexpr (is_read) copy = load_vector<width>(array + i);
  operand = copy.element;
  on_vectors<width>(i, run, rest...);
  if constexpr (!is_read) store_vector(array + i, copy);
}

// run(body, i) for each element that thread `first` of `stride` threads takes of n: those of its chunks, of which body has copies,
// and of what is left.
template <class Body, class Run>
WINNOW_HD void for_own_elements(std::int64_t n, std::int64_t first, std::int64_t stride, const Body& body,
                                const Run& run) {
  std::int64_t done = 0;
  if constexpr (HasOperands<Body>) {
    constexpr int width = kChunk<Body>;
    if (is_aligned(body)) {
      const std::int64_t chunks = n / width;
      for (std::int64_t chunk = first; chunk < chunks; chunk += stride) {
        Body copy = body;
        if constexpr (requires { copy.start_at(chunk); }) copy.start_at(chunk * width);
        const auto all = [&]<int... k>(std::integer_sequence<int, k...>) { (run(copy, k), ...); };
        copy.operands([&](auto*&... operand) {
          on_vectors<width>(
              chunk * width, [&] { all(std::make_integer_sequence<int, width>{}); }, operand...);
        });
      }
      done = chunks * width;
    }
  }
  for (std::int64_t i = done + first; i < n; i += stride) run(body, i);
}

}  // namespace winnow
