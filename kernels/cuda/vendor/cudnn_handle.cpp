#include <cudnn.h>

#include "kernels/cuda/vendor/handle_pool.h"
#include "kernels/cuda/vendor/handles.h"

namespace winnow::cuda::vendor {

cudnnContext* cudnn_handle() {
  static auto* const pool = new HandlePool<cudnnHandle_t>([] {
    cudnnHandle_t handle = nullptr;
    const cudnnStatus_t status = cudnnCreate(&handle);
    if (status != CUDNN_STATUS_SUCCESS) fail("cudnnCreate", cudnnGetErrorString(status));
    return handle;
  });
  return pool->of_this_thread();
}

}  // namespace winnow::cuda::vendor
