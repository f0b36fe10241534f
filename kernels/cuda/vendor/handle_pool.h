// Handles of a vendor library, at most one a thread and device at a time. A thread borrows one at first use and gives it
// back when it ends, to be taken by the next, so there are never more than threads that used the library at once.
//
// Handles are never destroyed: what they hold on the device goes with the process, and destroying them as the process
// ends would come after parts of the CUDA runtime are gone, in an order that nothing guarantees. For the same reason pools
// are allocated and never deleted. Thread-safe. A process that forks must not have used one before.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <vector>

#include "kernels/cuda/vendor/errors.h"

namespace winnow::cuda::vendor {

inline int current_device() {
  int device = 0;
  const cudaError_t status = cudaGetDevice(&device);
  if (status != cudaSuccess) fail("cudaGetDevice", cudaGetErrorString(status));
  return device;
}

// Handle: a pointer. One pool for each type of handle.
template <class Handle>
class HandlePool {
 public:
  // `make` makes a handle for the current device.
  explicit HandlePool(Handle (*make)()) : make_(make) {}

  Handle of_this_thread() {
    thread_local Borrowed mine(*this);
    const int device = current_device();
    const auto found = mine.by_device.find(device);
    if (found != mine.by_device.end()) return found->second;
    return mine.by_device.emplace(device, take(device)).first->second;
  }

 private:
  struct Borrowed {
    explicit Borrowed(HandlePool& from) : pool(from) {}
    ~Borrowed() {
      const std::lock_guard lock(pool.mutex_);
      for (const auto& [device, handle] : by_device) pool.idle_[device].push_back(handle);
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    HandlePool& pool;
    std::map<int, Handle> by_device;
  };

  Handle take(int device) {
    {
      const std::lock_guard lock(mutex_);
      std::vector<Handle>& idle = idle_[device];
      if (!idle.empty()) {
        const Handle handle = idle.back();
        idle.pop_back();
        return handle;
      }
    }
    return make_();
  }

  Handle (*make_)();
  std::mutex mutex_;
  std::map<int, std::vector<Handle>> idle_;
};

}  // namespace winnow::cuda::vendor
