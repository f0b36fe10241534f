#include "kernels/cpu/tiled_linear.h"

#include <algorithm>

#include "kernels/cpu/pack.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

constexpr std::int64_t kBlockWords = 256;

// Weights are packed unless their rows already are words in the right order.
bool packs(const LinearShape& s, Direction direction) {
  return direction == Direction::Forward || (direction == Direction::BackwardData && in_pairs(s.dtype));
}

}  // namespace

bool TiledLinear::suits(const LinearShape& s, Direction direction) {
  if (!can_contract(s.dtype)) return false;
  return !in_pairs(s.dtype) || direction == Direction::BackwardWeights ||
         (direction == Direction::Forward ? s.in : s.out) % 2 == 0;
}

TiledLinear::TiledLinear(const LinearShape& s, Direction direction, int threads)
    : shape_(s), direction_(direction), threads_(threads) {
  Contraction& c = contraction_;
  const std::int64_t element = size_of(s.dtype);
  c.dtype = s.dtype;
  c.packed = packs(s, direction);
  if (direction == Direction::BackwardWeights) {
    c.m = s.out;
    c.n = s.in;
    a_rows_ = regular_rows(s.out, kWordBytes);
    c.a_rows = a_rows_.data();
    c.k[0] = {words_of(s.dtype, s.rows), s.out * kWordBytes, s.in * kWordBytes};
    c.c_row = s.in * static_cast<std::int64_t>(sizeof(float));
    return;
  }
  const bool forward = direction == Direction::Forward;
  c.m = s.rows;
  c.n = forward ? s.out : s.in;
  a_rows_ = regular_rows(s.rows, depth() * element);
  c.a_rows = a_rows_.data();
  c.k[0] = {words_of(s.dtype, depth()), kWordBytes, c.n * kWordBytes};
  c.c_row = c.n * element;
  c.c_dtype = s.dtype;
  c.start = forward && s.bias ? Start::Bias : Start::Zero;
}

std::int64_t TiledLinear::depth() const { return direction_ == Direction::Forward ? shape_.in : shape_.out; }
Order TiledLinear::order() const { return direction_ == Direction::Forward ? Order::Columns : Order::Rows; }

std::size_t TiledLinear::scratch_bytes() const {
  if (contraction_.packed) {
    const std::int64_t n = contraction_.n;
    return static_cast<std::size_t>(
        Panels(threads_ == 1 ? std::min(n, Panels::kMostColumns) : n).bytes(contraction_.k[0].count));
  }
  if (direction_ != Direction::BackwardWeights) return 0;
  const auto words = static_cast<std::size_t>(contraction_.k[0].count * kWordBytes);
  const std::size_t sums = shape_.bias ? column_sums_bytes(shape_.rows, shape_.out) : 0;
  return aligned(sums) + (in_pairs(shape_.dtype) ? aligned(words * static_cast<std::size_t>(shape_.in)) +
                                                       aligned(words * static_cast<std::size_t>(shape_.out))
                                                 : 0);
}

void TiledLinear::run(const LayerBuffers& buffers, const Exec& exec) {
  std::byte* scratch = exec.scratch;
  const auto *weights = static_cast<const float*>(buffers.weights), *bias = static_cast<const float*>(buffers.bias);
  const bool forward = direction_ == Direction::Forward;
  const void* from = forward ? buffers.x : buffers.y;
  void* to = forward ? buffers.y : buffers.x;
  if (direction_ == Direction::BackwardWeights) {
    backward_weights(buffers, scratch);
  } else if (!contraction_.packed) {
    contract_rows(from, weights, nullptr, to);
  } else if (threads_ == 1) {
    contract_panels(from, weights, forward ? bias : nullptr, to, scratch);
  } else {
    pack_panels(shape_.dtype, depth(), contraction_.n, Panels(contraction_.n), weights, order(), scratch, threads_);
    contract_rows(from, scratch, forward ? bias : nullptr, to);
  }
}

void TiledLinear::contract_panels(const void* a, const float* weights, const float* bias, void* c,
                                  std::byte* scratch) const {
  const Panels panels(contraction_.n);
  for (std::int64_t panel = 0; panel < panels.count(); ++panel) {
    const std::int64_t column = panels.first(panel) * Panels::kColumns;
    Contraction part = contraction_;
    part.n = std::min(panels.width(panel) * Panels::kColumns, part.n - column);
    const bool by_rows = order() == Order::Rows;
    pack_panel(shape_.dtype, depth(), part.n, weights + column * (by_rows ? 1 : depth()), order(),
               by_rows ? shape_.in : depth(), scratch);
    contract(part, a, scratch, bias != nullptr ? bias + column : nullptr,
             static_cast<std::byte*>(c) + column * size_of(shape_.dtype));
  }
}

void TiledLinear::backward_weights(const LayerBuffers& buffers, std::byte* scratch) const {
  const LinearShape& s = shape_;
  if (!in_pairs(s.dtype)) {
    contract_rows(buffers.y, buffers.x, nullptr, buffers.weights);
    if (s.bias) {
      column_sums(s.dtype, s.rows, s.out, buffers.y, static_cast<float*>(buffers.bias), scratch, threads_);
    }
    return;
  }
  const auto *x = static_cast<const bf16*>(buffers.x), *dy = static_cast<const bf16*>(buffers.y);
  const std::int64_t pairs = contraction_.k[0].count;
  auto* x_words = reinterpret_cast<std::uint32_t*>(scratch);
  auto* dy_words =
      reinterpret_cast<std::uint32_t*>(scratch + aligned(static_cast<std::size_t>(pairs * s.in * kWordBytes)));
  share_loop(threads_, pairs, [&](std::int64_t i) {
    const bool whole = 2 * i + 1 < s.rows;
    const auto pair = [&](std::int64_t width, const bf16* from, std::uint32_t* to) {
      const bf16* low = from + 2 * i * width;
      pair_rows(1, width, low, whole ? low + width : nullptr, to + i * width);
    };
    pair(s.in, x, x_words);
    pair(s.out, dy, dy_words);
  });
  contract_rows(dy_words, x_words, nullptr, buffers.weights);
  if (s.bias) {
    column_sums(s.dtype, s.rows, s.out, dy, static_cast<float*>(buffers.bias),
                reinterpret_cast<std::byte*>(dy_words) + aligned(static_cast<std::size_t>(pairs * s.out * kWordBytes)),
                threads_);
  }
}

void TiledLinear::contract_rows(const void* a, const void* b, const float* bias, void* c) const {
  const Contraction::Axis& k = contraction_.k[0];
  // Rows of B that lie apart fall out of the caches when there are many; results in bf16 cannot be added to.
  const bool blocks = !contraction_.packed && contraction_.c_dtype == DType::F32;
  const std::int64_t block = blocks ? kBlockWords : k.count;
  share_out(threads_, contraction_.m, [&](int, std::int64_t first, std::int64_t end) {
    Contraction part = contraction_;
    part.m = end - first;
    part.a_rows += first;
    for (std::int64_t from = 0; from < k.count; from += block) {
      part.k[0].count = std::min(block, k.count - from);
      if (from > 0) part.start = Start::Accumulate;
      contract(part, static_cast<const std::byte*>(a) + from * k.a, static_cast<const std::byte*>(b) + from * k.b, bias,
               static_cast<std::byte*>(c) + first * part.c_row);
    }
  });
}

}  // namespace winnow::cpu
