// Chunks (kernels/functors/chunk.h) as kernels run them: where elements are taken together, and that this changes no bit and
// touches nothing else, for all remainders and for arrays that are not aligned.
#include "kernels/functors/chunk.h"

#include <limits>
#include <tuple>

#include "kernels/cuda/for_each.cuh"
#include "kernels/for_each.h"
#include "kernels/functors/activations.h"
#include "kernels/functors/add_bias.h"
#include "kernels/functors/elementwise.h"
#include "kernels/functors/layout.h"
#include "kernels/functors/pack_weights.h"
#include "kernels/functors/score_mask.h"
#include "kernels/optimizer.h"
#include "tests/emulator/device.h"

namespace winnow::emulator {

namespace {

const Exec kChunksOnNull{.device = Device::Cuda};

// Elements of an array before and behind those of a functor, which must stay as they are.
constexpr std::int64_t kMargin = 16;
// All remainders of a chunk of up to 16 elements, and more than one block of chunks.
std::vector<std::int64_t> lengths() {
  std::vector<std::int64_t> all;
  for (std::int64_t n = 1; n <= 35; ++n) all.push_back(n);
  for (std::int64_t n = 4096; n < 4112; ++n) all.push_back(n);
  return all;
}

template <class T>
T number(std::int64_t i) {
  const auto value = static_cast<float>((i * 7919 + 13) % 1009 - 500) / 64.0f;
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    return static_cast<std::uint8_t>(i % 3 != 0);
  } else {
    return from_float<T>(value);
  }
}

// The arrays of an elementwise functor, `moved` elements behind an aligned place; on the host and on the device.
template <class T>
struct Array {
  std::vector<T> host;
  std::int64_t moved;
  T* device = nullptr;
  Array(std::int64_t n, std::int64_t move, std::int64_t seed) : moved(move) {
    for (std::int64_t i = 0; i < n + 2 * kMargin + move; ++i) host.push_back(number<T>(i + 31 * seed));
  }
  T* on_host() { return host.data() + kMargin + moved; }
  T* on_device() const { return device + kMargin + moved; }
};

}  // namespace

class Chunks : public OnEmulator {
 protected:
  // make(pointers) is the functor over arrays of these types. It runs on the device, and its elements one by one on the host;
  // whole arrays must then have the same bits. `which`: the array that is not aligned, -1: all are.
  template <class... T, class Make>
  void expect_same_bits(std::int64_t n, int which, const Make& make) {
    int index = 0;
    const auto array = [&]<class Element>() {
      const int at = index++;
      return Array<Element>(n, at == which ? 1 : 0, at);
    };
    std::tuple<Array<T>...> arrays{array.template operator()<T>()...};
    std::apply(
        [&](auto&... each) {
          ((each.device = on_device(each.host)), ...);
          for_each(kChunksOnNull, n, make(each.on_device()...));
          const auto body = make(each.on_host()...);
          for (std::int64_t i = 0; i < n; ++i) body(i);
          (expect_equal(each, n, which), ...);
        },
        arrays);
  }
  template <class T>
  void expect_equal(const Array<T>& array, std::int64_t n, int which) {
    const std::vector<T> result = read(array.device, array.host.size());
    EXPECT_EQ(std::memcmp(result.data(), array.host.data(), sizeof(T) * result.size()), 0)
        << n << " elements, array " << which << " is moved";
    EXPECT_EQ(cudaFree(array.device), cudaSuccess);
  }
  template <class... T, class Make>
  void expect_same_bits(const Make& make) {
    for (int which = -1; which < static_cast<int>(sizeof...(T)); ++which) {
      for (const std::int64_t n : lengths()) expect_same_bits<T...>(n, which, make);
    }
  }
};

namespace {

// Writes whether it runs on a copy of its array.
template <class T>
struct OnCopy {
  const T* x;
  T *y, *array;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(y == array ? 0.0f : 1.0f); }
};

// What the update does with a weight, in small.
struct CheckedCopy {
  const float* x;
  float* y;
  bool is_stopped;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = x[i]; }
  WINNOW_HD float written(std::int64_t i) const { return y[i]; }
  WINNOW_HD bool stopped() const { return is_stopped; }
  WINNOW_HD void keep_old(std::int64_t i) const { y[i] = -1.0f; }
};

}  // namespace

static_assert(kChunk<Add<float>> == 4 && kChunk<Add<bf16>> == 8);
static_assert(kChunk<Cast<float, bf16>> == 4 && kChunk<Cast<bf16, float>> == 4 && kChunk<Cast<bf16, bf16>> == 8);
static_assert(kChunk<ApplyMask> == 4 && kChunk<Masked<SgdStep, true, true>> == 4);
static_assert(kChunk<AddBias<bf16>> == 8 && kChunk<PackWeights<bf16>> == 8 && kChunk<UnpackWeights<bf16>> == 4);
static_assert(kChunk<TransposeRow<float>> == 1, "a functor by row has no chunks");

// One array that is not aligned is enough.
TEST_F(Chunks, WhatIsAlignedIsTakenTogetherAndTheRestOneByOne) {
  const auto test = [&]<class T>(std::int64_t n, std::int64_t x_moved, std::int64_t y_moved) {
    constexpr std::int64_t kEach = 16 / sizeof(T);
    const T* x = on_device<T>(static_cast<std::size_t>(n + x_moved)) + x_moved;
    T* y = on_device<T>(static_cast<std::size_t>(n + y_moved)) + y_moved;
    for_each(kChunksOnNull, n, OnCopy<T>{x, y, y});
    const std::vector<T> copied = read(y, static_cast<std::size_t>(n));
    const std::int64_t together = x_moved % kEach == 0 && y_moved % kEach == 0 ? n / kEach * kEach : 0;
    for (std::int64_t i = 0; i < n; ++i) {
      EXPECT_EQ(to_float(copied[static_cast<std::size_t>(i)]), i < together ? 1.0f : 0.0f)
          << n << ' ' << x_moved << ' ' << y_moved << ' ' << i;
    }
  };
  for (const std::int64_t n : {3, 8, 9, 15, 16, 3000}) {
    for (const std::int64_t x_moved : {0, 1, 4, 8}) {
      for (const std::int64_t y_moved : {0, 1, 4, 8}) {
        test.operator()<float>(n, x_moved, y_moved);
        test.operator()<bf16>(n, x_moved, y_moved);
      }
    }
  }
}

TEST_F(Chunks, SameBitsOneTypeOfElement) {
  expect_same_bits<float, float, float>([](float* a, float* b, float* y) { return Add<float>{a, b, y}; });
  expect_same_bits<bf16, bf16, bf16>([](bf16* a, bf16* b, bf16* y) { return Add<bf16>{a, b, y}; });
  expect_same_bits<bf16, bf16, bf16>([](bf16* dy, bf16* y, bf16* dx) { return ReluBackward<bf16>{dy, y, dx}; });
}

TEST_F(Chunks, SameBitsWhereElementsDifferInSize) {
  expect_same_bits<float, bf16>([](float* x, bf16* y) { return Cast<float, bf16>{x, y}; });
  expect_same_bits<bf16, float>([](bf16* x, float* y) { return Cast<bf16, float>{x, y}; });
  expect_same_bits<float, std::uint8_t, float>([](float* x, std::uint8_t* mask, float* y) {
    return ApplyMask{x, mask, y};
  });
}

TEST_F(Chunks, SameBitsInPlaceAndWithoutAnOperand) {
  expect_same_bits<float, float>([](float* a, float* y) { return Add<float>{y, a, y}; });
  expect_same_bits<bf16>([](bf16* y) { return Relu<bf16>{y, y}; });
  expect_same_bits<float, float>([](float* x, float* y) { return ApplyMask{x, nullptr, y}; });
}

// Rows that are longer and shorter than a chunk, and no multiple of it.
TEST_F(Chunks, SameBitsWhereThePlaceOfAnElementCounts) {
  expect_same_bits<float, float, float>([](float* bias, float* x, float* y) {
    return AddBiasRelu<float>{{bias, x, y, 10}};
  });
  expect_same_bits<float, float, float>([](float* bias, float* x, float* y) { return AddBias<float>{bias, x, y, 10}; });
  for (const std::int64_t cols : {1, 3, 8, 100}) {
    expect_same_bits<float, bf16, bf16>([&](float* bias, bf16* x, bf16* y) { return AddBias<bf16>{bias, x, y, cols}; });
    expect_same_bits<bf16, bf16>([&](bf16* x, bf16* y) { return FitChannels<bf16>{x, y, 1, cols}; });
    expect_same_bits<float, bf16>([&](float* x, bf16* y) { return FitChannels<float, bf16>{x, y, 1, cols}; });
  }
}

// On a device it takes some 70 million elements until there are more chunks than threads.
TEST_F(Chunks, AreDealtOutToFewerThreads) {
  for (const std::int64_t n : {3, 64, 103}) {
    const std::vector<float> ones(static_cast<std::size_t>(n), 1.0f);
    for (const std::int64_t threads : {1, 3, 7}) {
      std::vector<float> times(ones.size());
      const Add<float> count{times.data(), ones.data(), times.data()};
      for (std::int64_t thread = 0; thread < threads; ++thread) {
        for_own_elements(n, thread, threads, count, [](const auto& at, std::int64_t i) { at(i); });
      }
      EXPECT_EQ(times, ones) << n << " elements, " << threads << " threads";
    }
  }
}

TEST_F(Chunks, PackedWeightsHaveTheSameBits) {
  const auto test = [&]<class T>(const WeightExtents& extents) {
    const auto packed = static_cast<std::size_t>(extents.packed_count()),
               count = static_cast<std::size_t>(extents.count());
    std::vector<float> weights;
    for (std::size_t i = 0; i < count; ++i) weights.push_back(number<float>(static_cast<std::int64_t>(i)));
    std::vector<T> expected(packed);
    const PackWeights<T> pack{extents, weights.data(), expected.data()};
    for (std::int64_t i = 0; i < extents.packed_count(); ++i) pack(i);
    std::vector<float> unpacked(count);
    const UnpackWeights<T> unpack{extents, expected.data(), unpacked.data()};
    for (std::int64_t i = 0; i < extents.count(); ++i) unpack(i);

    T* to = on_device<T>(packed);
    for_each(kChunksOnNull, extents.packed_count(), PackWeights<T>{extents, on_device(weights), to});
    float* back = on_device<float>(count);
    for_each(kChunksOnNull, extents.count(), UnpackWeights<T>{extents, to, back});
    EXPECT_EQ(std::memcmp(read(to, packed).data(), expected.data(), packed * sizeof(T)), 0) << extents.in;
    EXPECT_EQ(std::memcmp(read(back, count).data(), unpacked.data(), count * sizeof(float)), 0) << extents.in;
  };
  for (const WeightExtents& extents :
       {WeightExtents{8, 16, 9, 8, 16}, {5, 3, 9, 8, 8}, {4, 1, 25, 4, 1}, {7, 5, 1, 7, 5}}) {
    test.operator()<float>(extents);
    test.operator()<bf16>(extents);
  }
}

// Several loops of one launch, and each element of a chunk and of what is left is looked at.
TEST_F(Chunks, WhatIsNotFiniteIsNoticedAtEveryElement) {
  constexpr std::int64_t kCount = 11;
  std::vector<float> fine(kCount, 1.0f);
  auto* run = on_device(std::vector<RunState>(1));
  const Exec exec{.device = Device::Cuda, .run = run};
  const auto marks = [&](const std::vector<float>& x, bool stopped, std::int64_t moved) {
    std::vector<float> lying(static_cast<std::size_t>(moved), 1.0f);
    lying.insert(lying.end(), x.begin(), x.end());
    const float *first = on_device(fine), *second = on_device(lying) + moved;
    float *first_y = on_device<float>(kCount), *second_y = on_device<float>(kCount);
    const Loop<CheckedCopy> loops[] = {{kCount, {first, first_y, stopped}}, {kCount, {second, second_y, stopped}}};
    for_each_checked(exec, std::span<const Loop<CheckedCopy>>(loops));
    EXPECT_EQ(read(second_y, kCount)[kCount - 1], stopped ? -1.0f : x.back());
    const bool marked = read(run, 1)[0].status.not_finite != 0;
    EXPECT_EQ(cudaMemsetAsync(run, 0, sizeof *run), cudaSuccess);
    return marked;
  };
  EXPECT_FALSE(marks(fine, false, 0));
  for (std::size_t at = 0; at < kCount; ++at) {
    std::vector<float> x = fine;
    x[at] = std::numeric_limits<float>::infinity();
    if (at + 1 == kCount) x[at] = -x[at];
    for (const std::int64_t moved : {0, 1}) {
      EXPECT_TRUE(marks(x, false, moved)) << at;
      EXPECT_FALSE(marks(x, true, moved)) << at;
    }
  }
}

}  // namespace winnow::emulator
