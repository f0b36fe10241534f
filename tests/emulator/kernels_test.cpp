// Kernels: lane orders, barriers, shuffles, shared memory, and what is reported of wrong ones.
#include <chrono>
#include <functional>
#include <numeric>
#include <thread>

#include "kernels/cuda/launch.cuh"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"
#include "kernels/functors/fold.h"
#include "tests/emulator/device.h"

namespace winnow::emulator {

namespace {

__global__ void racy_kernel(int* last) { *last = static_cast<int>(threadIdx.x + blockDim.x * blockIdx.x); }

// Each block turns its part of `x` round, by way of shared memory.
__global__ void turn_kernel(const int* x, int* y) {
  WINNOW_SHARED(int, part, 64);
  const unsigned at = blockIdx.x * blockDim.x;
  part[threadIdx.x] = x[at + threadIdx.x];
  __syncthreads();
  y[at + threadIdx.x] = part[blockDim.x - 1 - threadIdx.x];
}

__global__ void shared_kernel(float* y) {
  WINNOW_SHARED(float, buffer, 8);
  y[threadIdx.x] = buffer[threadIdx.x];
  if (threadIdx.x == 0) buffer[0] = 1.0f;
}

__global__ void warps_kernel(int* y) {
  const int lane = static_cast<int>(threadIdx.x % warpSize);
  int sum = lane;
  for (unsigned half = 16; half > 0; half /= 2) sum += __shfl_down_sync(~0u, sum, half);
  const int below = __shfl_down_sync(~0u, lane, 2, 8);
  y[threadIdx.x] = (lane > 0 || sum == 496) && below == (lane % 8 < 6 ? lane + 2 : lane);
}

__global__ void half_mask_kernel(int* y) {
  const unsigned mask = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
  if (threadIdx.x < 16) {
    y[threadIdx.x] = __shfl_down_sync(mask, static_cast<int>(threadIdx.x), 1, 16);
  } else {
    y[threadIdx.x] = __shfl_down_sync(mask, static_cast<int>(threadIdx.x), 2, 16);
  }
}

__global__ void atomic_kernel(unsigned long long* sum, int* least) {
  atomicAdd(sum, 2);
  atomicMin(least, static_cast<int>(threadIdx.x));
}

__global__ void some_exit_kernel() {
  if (threadIdx.x < 8) return;
  __syncthreads();
}
__global__ void elsewhere_kernel() {
  if (threadIdx.x < 8) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void missing_lanes_kernel(int* y) {
  if (threadIdx.x < 8) y[threadIdx.x] = __shfl_down_sync(~0u, 1, 1);
  __syncthreads();
}
__global__ void not_in_mask_kernel(int* y) { *y = __shfl_down_sync(1u, 1, 0); }
__global__ void reads_outside_mask_kernel(int* y) {
  if (threadIdx.x < 2) *y = __shfl_down_sync(3u, 1, 1);
}
__global__ void beyond_shared_kernel(int* y) {
  WINNOW_SHARED(int, small, 4);
  volatile int* at = small;
  at[4] = *y;
}
__global__ void write_kernel(float* y, std::int64_t at) { y[at] = 1.0f; }

const Exec kOnNullStream{.device = Device::Cuda};
constexpr LaneOrder kOrders[] = {LaneOrder::Forward, LaneOrder::Backward, LaneOrder::Shuffled};

}  // namespace

class Kernels : public OnEmulator {};

TEST_F(Kernels, RacesDifferBetweenOrders) {
  int* last = on_device<int>(1);
  std::vector<int> seen;
  for (const LaneOrder order : kOrders) {
    set_lane_order(order, 7);
    cuda::launch(kOnNullStream, {4, 32}, racy_kernel, last);
    seen.push_back(read(last, 1)[0]);
  }
  EXPECT_EQ(seen[0], 127);
  EXPECT_EQ(seen[1], 0);
  EXPECT_NE(seen[2], seen[0]);
}

TEST_F(Kernels, BarriersInEveryOrder) {
  std::vector<int> x(256), expected(256);
  std::iota(x.begin(), x.end(), 0);
  for (int i = 0; i < 256; ++i) expected[static_cast<std::size_t>(i)] = i / 64 * 64 + 63 - i % 64;
  const int* from = on_device(x);
  int* to = on_device<int>(256);
  for (const LaneOrder order : kOrders) {
    set_lane_order(order, 3);
    cuda::launch(kOnNullStream, {4, 64}, turn_kernel, from, to);
    EXPECT_EQ(read(to, 256), expected);
  }
}

// As a worker's thread does that gives back its stream: the object is older than what the emulator keeps of the thread.
TEST_F(Kernels, ObjectsThatAThreadLeavesBehindMayWaitForTheDevice) {
  std::vector<int> x(64), expected(64);
  std::iota(x.begin(), x.end(), 0);
  std::iota(expected.rbegin(), expected.rend(), 0);
  const int* from = on_device(x);
  int* to = on_device<int>(64);
  struct AtTheEnd {
    std::function<void()> call;
    ~AtTheEnd() {
      if (call) call();
    }
  };
  cudaError_t waited = cudaErrorUnknown;
  std::thread([&] {
    thread_local AtTheEnd at_the_end;
    at_the_end.call = [&] {
      cuda::launch(kOnNullStream, {1, 64}, turn_kernel, from, to);
      waited = cudaDeviceSynchronize();
    };
    cuda::launch(kOnNullStream, {4, 64}, turn_kernel, on_device(std::vector<int>(256)), on_device<int>(256));
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }).join();
  EXPECT_EQ(waited, cudaSuccess) << first_report();
  EXPECT_EQ(read(to, 64), expected);
}

TEST_F(Kernels, SharedMemoryIsPoisonedForEachBlock) {
  float* y = on_device<float>(8);
  cuda::launch(kOnNullStream, {2, 8}, shared_kernel, y);
  for (const float value : read(y, 8)) EXPECT_NE(value, value);
}

TEST_F(Kernels, Shuffles) {
  int* y = on_device<int>(64);
  for (const LaneOrder order : kOrders) {
    set_lane_order(order, 11);
    cuda::launch(kOnNullStream, {1, 64}, warps_kernel, y);
    EXPECT_EQ(read(y, 64), std::vector<int>(64, 1));
  }
  cuda::launch(kOnNullStream, {1, 32}, half_mask_kernel, y);
  EXPECT_EQ(read(y, 32)[4], 5);
  EXPECT_EQ(read(y, 32)[20], 22);
  EXPECT_EQ(read(y, 32)[15], 15);
}

TEST_F(Kernels, Atomics) {
  auto* sum = on_device(std::vector<unsigned long long>{5});
  int* least = on_device(std::vector<int>{9});
  cuda::launch(kOnNullStream, {2, 64}, atomic_kernel, sum, least);
  EXPECT_EQ(read(sum, 1)[0], 5u + 256u);
  EXPECT_EQ(read(least, 1)[0], 0);
}

TEST_F(Kernels, WrongKernelsAreReported) {
  int* y = on_device(std::vector<int>(32, 0));
  const auto report_of = [&](auto kernel, auto... args) {
    cuda::launch(kOnNullStream, {1, 32}, kernel, args...);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure) << "the error stays";
    const std::string what = first_report();
    clear_error(0);
    clear_reports();
    return what;
  };
  EXPECT_NE(report_of(some_exit_kernel).find("divergent barrier: 8 lanes have exited, 24 lanes wait"),
            std::string::npos);
  const std::string elsewhere = report_of(elsewhere_kernel);
  EXPECT_NE(elsewhere.find("divergent barrier"), std::string::npos);
  EXPECT_NE(elsewhere.find("kernels_test.cpp:"), std::string::npos);
  EXPECT_NE(report_of(missing_lanes_kernel, y).find("8 lanes wait for lanes of their mask"), std::string::npos);
  EXPECT_NE(report_of(not_in_mask_kernel, y).find("not in its own mask"), std::string::npos);
  EXPECT_NE(report_of(reads_outside_mask_kernel, y).find("which its mask does not name"), std::string::npos);
  EXPECT_NE(report_of(beyond_shared_kernel, y).find("behind the end of small"), std::string::npos);
  // The machine goes on.
  cuda::launch(kOnNullStream, {1, 64}, turn_kernel, y, on_device<int>(64));
  cuda::launch(kOnNullStream, {1, 32}, warps_kernel, y);
  EXPECT_EQ(read(y, 32), std::vector<int>(32, 1));
}

TEST_F(Kernels, BehindAnAllocation) {
  float* y = on_device<float>(100);
  // 400 bytes end 112 before the guard page: canaries first, then the page.
  cuda::launch(kOnNullStream, {1, 1}, write_kernel, y, std::int64_t{100});
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  EXPECT_NE(first_report().find("behind an allocation of 400 bytes"), std::string::npos);
  clear_error(0);
  clear_reports();
  float* z = on_device<float>(100);
  cuda::launch(kOnNullStream, {1, 1}, write_kernel, z, std::int64_t{-1});
  EXPECT_EQ(cudaFree(z), cudaErrorIllegalAddress);
  clear_error(0);
  cuda::launch(kOnNullStream, {1, 1}, write_kernel, on_device<float>(100), std::int64_t{128});
  EXPECT_DEATH(cudaDeviceSynchronize(), "block 0, thread 0, touches device memory, byte 512 of an allocation of 400");
}

TEST_F(Kernels, ConfigurationsThatNoDeviceTakes) {
  EXPECT_THROW(cuda::launch(kOnNullStream, {1, 2048}, some_exit_kernel), std::runtime_error);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "launch() has taken it";
}

// Functors and folds of the real sources: through weak references, which must be resolved.
TEST_F(Kernels, SameBitsAsTheCpu) {
  constexpr std::int64_t kRows = 3, kCols = 9000;
  std::vector<float> x(kRows * kCols), cpu(kRows), partial(static_cast<std::size_t>(fold_partials(kRows, kCols)));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1.0f / static_cast<float>(i % 977 + 1);
  fold_rows(Exec{}, kRows, kCols, 0.0f, LoadRow<float>{x.data(), kCols}, Sum{}, StoreRow<float>{cpu.data()},
            partial.data());
  std::vector<bf16> halves(x.size());
  for_each(Exec{}, kRows * kCols, Cast<float, bf16>{x.data(), halves.data()});

  const float* from = on_device(x);
  float *sums = on_device<float>(kRows), *parts = on_device<float>(partial.size());
  bf16* casts = on_device<bf16>(x.size());
  for (const LaneOrder order : kOrders) {
    set_lane_order(order, 5);
    fold_rows(kOnNullStream, kRows, kCols, 0.0f, LoadRow<float>{from, kCols}, Sum{}, StoreRow<float>{sums}, parts);
    for_each(kOnNullStream, kRows * kCols, Cast<float, bf16>{from, casts});
    const std::vector<float> folded = read(sums, kRows);
    EXPECT_EQ(std::memcmp(folded.data(), cpu.data(), kRows * sizeof(float)), 0);
    const std::vector<bf16> cast = read(casts, x.size());
    EXPECT_EQ(std::memcmp(cast.data(), halves.data(), x.size() * sizeof(bf16)), 0);
  }
}

TEST_F(Kernels, AMillionThreadsTakeASecond) {
  constexpr std::int64_t kCount = 1 << 20;
  float *x = on_device(std::vector<float>(kCount, 2.0f)), *sums = on_device<float>(kCount / 32);
  const auto start = std::chrono::steady_clock::now();
  for_each(kOnNullStream, kCount, Add<float>{x, x, x});
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  const auto middle = std::chrono::steady_clock::now();
  fold_rows(kOnNullStream, kCount / 32, 32, 0.0f, LoadRow<float>{x, 32}, Sum{}, StoreRow<float>{sums}, sums);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  const std::chrono::duration<double> plain = middle - start, folds = std::chrono::steady_clock::now() - middle;
  RecordProperty("plain", std::to_string(plain.count()));
  RecordProperty("folds", std::to_string(folds.count()));
  EXPECT_EQ(read(sums, 1)[0], 128.0f);
}

}  // namespace winnow::emulator
