#include "experiments/methods/toolkit/selection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"

namespace winnow {
namespace {

// Fisher-Yates over anything that can be swapped by position.
template <class Swap>
void permute(std::uint64_t size, const RngKey& key, Swap swap) {
  for (std::uint64_t i = size; i > 1; --i) swap(i - 1, below(key, i, i));
}

}  // namespace

double sparsity_of(double density) { return std::round((1.0 - density) * 1e12) / 1e12; }

std::int64_t kept_count(std::int64_t numel, double sparsity) {
  const auto zeros = static_cast<std::int64_t>(std::floor(sparsity * static_cast<double>(numel)));
  return numel - std::clamp<std::int64_t>(zeros, 0, numel);
}

template <class T>
std::vector<Bits> top_k(const std::vector<std::vector<T>>& scores, std::int64_t count,
                        const std::vector<std::string>& tensors) {
  std::vector<T> all;
  for (std::size_t t = 0; t < scores.size(); ++t) {
    for (const T score : scores[t]) {
      if (std::isnan(score)) {
        fail(ErrorKind::Settings,
             "scores of {} are not numbers: the loss or a gradient is not finite where the method "
             "scores weights",
             tensors.at(t));
      }
    }
    all.insert(all.end(), scores[t].begin(), scores[t].end());
  }
  const auto total = static_cast<std::int64_t>(all.size());
  if (count < 0 || count > total) {
    fail(ErrorKind::Internal, "{} of {} entries cannot be selected", count, total);
  }
  // The threshold is a value, so it does not depend on how the partition got there.
  T threshold = std::numeric_limits<T>::infinity();
  std::int64_t ties = 0;
  if (count > 0) {
    const auto last = all.begin() + (count - 1);
    std::nth_element(all.begin(), last, all.end(), std::greater<>());
    threshold = *last;
    ties = std::count(all.begin(), last + 1, threshold);
  }
  std::vector<Bits> masks;
  for (const std::vector<T>& tensor : scores) {
    Bits bits(tensor.size(), 0);
    for (std::size_t i = 0; i < tensor.size() && count > 0; ++i) {
      if (tensor[i] > threshold) bits[i] = 1;
      if (tensor[i] == threshold && ties > 0) {
        bits[i] = 1;
        --ties;
      }
    }
    masks.push_back(std::move(bits));
  }
  return masks;
}
template std::vector<Bits> top_k(const std::vector<std::vector<float>>&, std::int64_t, const std::vector<std::string>&);
template std::vector<Bits> top_k(const std::vector<std::vector<double>>&, std::int64_t,
                                 const std::vector<std::string>&);

Bits top_k(std::span<const float> scores, std::int64_t count, const std::string& tensor) {
  return top_k(std::vector<Scores>{{scores.begin(), scores.end()}}, count, {tensor}).front();
}

template <class T>
void invert(std::vector<T>& scores) {
  for (T& score : scores) score = score == 0 ? std::numeric_limits<T>::lowest() : -score;
}
template void invert(std::vector<float>&);
template void invert(std::vector<double>&);

void shuffle(Bits& bits, const RngKey& key) {
  permute(bits.size(), key, [&](std::uint64_t a, std::uint64_t b) { std::swap(bits[a], bits[b]); });
}

void shuffle(std::vector<Bits>& masks, const RngKey& key) {
  Bits all;
  for (const Bits& bits : masks) all.insert(all.end(), bits.begin(), bits.end());
  shuffle(all, key);
  auto from = all.begin();
  for (Bits& bits : masks) {
    std::copy_n(from, bits.size(), bits.begin());
    from += static_cast<std::ptrdiff_t>(bits.size());
  }
}

std::int64_t count_ones(std::span<const std::uint8_t> bits) {
  std::int64_t count = 0;
  for (const std::uint8_t bit : bits) count += bit;
  return count;
}

}  // namespace winnow
