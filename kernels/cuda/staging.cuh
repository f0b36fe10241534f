// Pinned memory of the host through which large uploads go: one block is filled while the device reads the other, so the host
// need not wait for the copies. Owns both blocks, which are taken when they are first needed. Not synchronised.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels/cuda/launch.cuh"

namespace winnow::cuda {

class Staging {
 public:
  static constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    for (const Block& block : blocks_) {
      if (block.memory != nullptr) static_cast<void>(cudaFreeHost(block.memory));  // waits for those that read it
      if (block.read != nullptr) static_cast<void>(cudaEventDestroy(block.read));
    }
  }

  // The source may change as soon as this returns. `wait_for(event)` returns when the event is over.
  template <class WaitFor>
  void upload(cudaStream_t stream, void* to, const void* from, std::size_t bytes, const WaitFor& wait_for) {
    for (std::size_t at = 0; at < bytes; at += kBlockBytes) {
      const std::size_t part = std::min(kBlockBytes, bytes - at);
      Block& block = blocks_[next_];
      next_ = 1 - next_;
      if (block.read == nullptr)
        check(cudaEventCreateWithFlags(&block.read, cudaEventDisableTiming), "cudaEventCreate");
      if (block.memory == nullptr) check(cudaMallocHost(&block.memory, kBlockBytes), "cudaMallocHost");
      wait_for(block.read);
      std::memcpy(block.memory, static_cast<const std::byte*>(from) + at, part);
      check(cudaMemcpyAsync(static_cast<std::byte*>(to) + at, block.memory, part, cudaMemcpyHostToDevice, stream),
            "cudaMemcpyAsync");
      check(cudaEventRecord(block.read, stream), "cudaEventRecord");
    }
  }

 private:
  struct Block {
    void* memory = nullptr;
    cudaEvent_t read = nullptr;  // after the copy that was queued last
  };
  Block blocks_[2];
  int next_ = 0;
};

}  // namespace winnow::cuda
