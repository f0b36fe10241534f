// What tests of the emulator share: a fixture on a machine as at the start, and memory that a test fills and reads.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <vector>

#include "kernels/exec.h"
#include "tests/emulator/emulator.h"

namespace winnow::emulator {

class OnEmulator : public testing::Test {
 protected:
  void SetUp() override { reset(); }
  void TearDown() override { reset(); }

  static cudaStream_t new_stream() {
    cudaStream_t stream = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    return stream;
  }
  static cudaEvent_t new_event() {
    cudaEvent_t event = nullptr;
    EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    return event;
  }
  template <class T>
  static T* on_device(std::size_t count) {
    T* at = nullptr;
    EXPECT_EQ(cudaMalloc(&at, count * sizeof(T)), cudaSuccess);
    return at;
  }
  template <class T>
  static T* on_device(const std::vector<T>& values) {
    T* at = on_device<T>(values.size());
    EXPECT_EQ(cudaMemcpyAsync(at, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    return at;
  }
  template <class T>
  static std::vector<T> read(const T* at, std::size_t count) {
    std::vector<T> values(count);
    EXPECT_EQ(cudaMemcpyAsync(values.data(), at, count * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess)
        << first_report();
    return values;
  }
  static std::string first_report() {
    const std::vector<Report> all = reports();
    return all.empty() ? std::string() : all.front().what;
  }
  static Exec exec_on(cudaStream_t stream) { return {.device = Device::Cuda, .stream = stream}; }
};

}  // namespace winnow::emulator
