// Memory: guards, poison, limits and the rules of copies.
#include <algorithm>
#include <cstring>

#include "tests/emulator/device.h"

namespace winnow::emulator {

class Memories : public OnEmulator {};

TEST_F(Memories, HostCodeThatTouchesThemFaults) {
  int* x = on_device(std::vector<int>{1, 2});
  EXPECT_DEATH({ *static_cast<volatile int*>(x) = 3; },
               "host code touches device memory, byte 0 of an allocation of 8");
  EXPECT_EQ(cudaFree(x), cudaSuccess);
  EXPECT_DEATH({ *static_cast<volatile int*>(x) = 3; }, "that was freed");
}

TEST_F(Memories, FreshOnesAreNotANumber) {
  for (const float value : read(on_device<float>(3000), 3000)) EXPECT_NE(value, value);
}

TEST_F(Memories, Aligned) {
  for (const std::size_t bytes : {1, 255, 256, 4095, 4096, 5000}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(on_device<char>(bytes)) % 256, 0u);
  }
}

TEST_F(Memories, LimitAndLeaks) {
  set_memory_limit(4096);
  void* most = on_device<char>(3000);
  std::size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, 4096u - 3072u);
  EXPECT_EQ(total, 4096u);
  void* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 2000), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(live().device_allocations, 1u);
  EXPECT_EQ(cudaFree(most), cudaSuccess);
  EXPECT_EQ(cudaFree(most), cudaErrorInvalidValue);
  EXPECT_EQ(live(), Live{});
  EXPECT_EQ(cudaMalloc(&more, 2000), cudaSuccess);
}

TEST_F(Memories, CopiesCheckDirectionAndRange) {
  char host[64] = {};
  char* device = on_device<char>(64);
  EXPECT_EQ(cudaMemcpyAsync(device, host, 64, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(host, host, 64, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device + 1, host, 64, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(host, device, 64, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, nullptr, 64, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, host, 64, static_cast<cudaMemcpyKind>(9)), cudaErrorInvalidMemcpyDirection);
  EXPECT_EQ(cudaMemsetAsync(device, 0, 65), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device + 1, device, 63, cudaMemcpyDeviceToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(device, 0, 64), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Memories, ThatOfTheHostIsReadAndWrittenBeforeTheCallReturns) {
  int host = 1;
  int *a = on_device<int>(1), *b = on_device<int>(1);
  EXPECT_EQ(cudaMemcpyAsync(a, &host, sizeof(int), cudaMemcpyHostToDevice), cudaSuccess);
  host = 2;
  EXPECT_EQ(cudaMemcpyAsync(b, a, sizeof(int), cudaMemcpyDeviceToDevice), cudaSuccess);
  EXPECT_EQ(pending(), 2u);
  EXPECT_EQ(cudaMemcpyAsync(&host, b, sizeof(int), cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(host, 1);
}

TEST_F(Memories, PinnedIsReadWhenTheCopysTurnComes) {
  void* pinned = nullptr;
  int found = 0, *device = on_device<int>(2);
  ASSERT_EQ(cudaMallocHost(&pinned, sizeof(int)), cudaSuccess);
  cudaEvent_t read = nullptr;
  ASSERT_EQ(cudaEventCreateWithFlags(&read, cudaEventDisableTiming), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(read), cudaSuccess) << "never recorded";
  *static_cast<int*>(pinned) = 1;
  EXPECT_EQ(cudaMemcpyAsync(device, pinned, sizeof(int), cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(read), cudaSuccess);
  *static_cast<int*>(pinned) = 2;
  EXPECT_EQ(cudaEventQuery(read), cudaErrorNotReady);
  while (cudaEventQuery(read) == cudaErrorNotReady) {
  }
  *static_cast<int*>(pinned) = 3;
  EXPECT_EQ(cudaMemcpyAsync(&found, device, sizeof(int), cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(found, 2);
  EXPECT_EQ(cudaMemcpyAsync(device, pinned, 2 * sizeof(int), cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(pinned), cudaErrorInvalidValue) << "it is the host's";
  EXPECT_EQ(cudaFreeHost(device), cudaErrorInvalidValue) << "it is the device's";
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaErrorInvalidValue);
  EXPECT_DEATH({ *static_cast<volatile int*>(pinned) = 3; }, "pinned memory, byte 0 of an allocation of 4 that was");
  EXPECT_EQ(cudaEventDestroy(read), cudaSuccess);
}

}  // namespace winnow::emulator
