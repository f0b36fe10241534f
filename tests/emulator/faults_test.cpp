// Faults that tests ask for, and machines that are not as one would like.
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"
#include "tests/emulator/device.h"

namespace winnow::emulator {

class Faults : public OnEmulator {};

TEST_F(Faults, TheNthCallFails) {
  fail("cudaMalloc", 2, cudaErrorMemoryAllocation);
  void* at = nullptr;
  EXPECT_EQ(cudaMalloc(&at, 4), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&at, 4), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&at, 4), cudaSuccess);
  fail("launch", 1, cudaErrorLaunchOutOfResources);
  float* x = on_device<float>(1);
  EXPECT_THROW(for_each(exec_on(nullptr), 1, Add<float>{x, x, x}), std::runtime_error);
  fail("someLibrary", 1, cudaErrorUnknown);
  EXPECT_EQ(injected("someLibrary"), cudaErrorUnknown);
  EXPECT_EQ(injected("someLibrary"), cudaSuccess);
}

TEST_F(Faults, AStickyErrorComesLateAndStays) {
  set_device_count(2);
  float* x = on_device<float>(1);
  const cudaStream_t stream = new_stream();
  fail_device(0, cudaErrorIllegalAddress);
  for_each(exec_on(stream), 1, Add<float>{x, x, x});
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaMemsetAsync(x, 0, 4, stream), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress) << "it cannot be cleared";
  EXPECT_EQ(pending(), 0u);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess) << "the other device has none";
  EXPECT_EQ(cudaSetDevice(0), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaFree(x), cudaErrorIllegalAddress);
  EXPECT_EQ(live(), Live{}) << "given back all the same";
  clear_error(0);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Faults, NoDevice) {
  set_device_count(0);
  int count = -1;
  void* at = nullptr;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(cudaMalloc(&at, 4), cudaErrorNoDevice);
  EXPECT_EQ(cudaSetDevice(0), cudaErrorNoDevice);
}

TEST_F(Faults, AnOldDriver) {
  set_driver_version(12040);
  int count = -1, version = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  EXPECT_EQ(cudaDriverGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, 12040);
  EXPECT_EQ(cudaRuntimeGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, 13000);
}

TEST_F(Faults, Devices) {
  set_device_count(2);
  set_memory_limit(std::size_t{1} << 20);
  cudaDeviceProp first{}, second{};
  EXPECT_EQ(cudaGetDeviceProperties(&first, 0), cudaSuccess);
  EXPECT_EQ(cudaGetDeviceProperties(&second, 1), cudaSuccess);
  EXPECT_EQ(cudaGetDeviceProperties(&second, 2), cudaErrorInvalidDevice);
  EXPECT_STREQ(first.name, second.name);
  EXPECT_NE(first.uuid.bytes[0], second.uuid.bytes[0]);
  EXPECT_EQ(first.totalGlobalMem, std::size_t{1} << 20);
  int can = 0, device = -1;
  EXPECT_EQ(cudaDeviceCanAccessPeer(&can, 0, 1), cudaSuccess);
  EXPECT_EQ(can, 1);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 1);
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
}

}  // namespace winnow::emulator
