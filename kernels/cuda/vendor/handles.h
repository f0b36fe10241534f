// The handles of cuBLASLt and cuDNN for the calling thread and its current device, made at first use. The process owns
// them (handle_pool.h); a thread uses its own alone, as both libraries ask of callers (cuDNN, "Thread Safety").
// Without the libraries' headers, so that who only passes a handle on needs none.
#pragma once

struct cublasLtContext;
struct cudnnContext;

namespace winnow::cuda::vendor {

cublasLtContext* cublaslt_handle();
cudnnContext* cudnn_handle();  // in builds with WINNOW_CUDNN

}  // namespace winnow::cuda::vendor
