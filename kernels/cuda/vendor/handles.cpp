#include "kernels/cuda/vendor/handles.h"

#include <cublasLt.h>

#include "kernels/cuda/vendor/handle_pool.h"

namespace winnow::cuda::vendor {

cublasLtContext* cublaslt_handle() {
  static auto* const pool = new HandlePool<cublasLtHandle_t>([] {
    cublasLtHandle_t handle = nullptr;
    const cublasStatus_t status = cublasLtCreate(&handle);
    if (status != CUBLAS_STATUS_SUCCESS) fail("cublasLtCreate", cublasLtGetStatusString(status));
    return handle;
  });
  return pool->of_this_thread();
}

}  // namespace winnow::cuda::vendor
