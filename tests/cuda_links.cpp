// Links the CUDA back end as a program does: every object of it, cuBLASLt, cuDNN, NCCL and the CUDA runtime. Without a device it
// says so and succeeds; with one it makes a layer of each kind and says who computes it.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <exception>

#include "kernels/cuda/vendor/libraries.h"

namespace {

void report(const char* what, const std::unique_ptr<winnow::PlannedLayer>& layer) {
  std::printf("%s: %s\n", what, layer == nullptr ? "no vendor library computes it" : layer->implementation().c_str());
}

}  // namespace

int main() {
  using winnow::Direction, winnow::DType;
  const winnow::cuda::Libraries& libraries = *winnow_cuda_libraries();
  if (libraries.nccl == nullptr) std::printf("no NCCL\n");
  for (const auto& [name, version] : libraries.versions()) {
    std::printf("%s %s\n", name.c_str(), version.c_str());
  }
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    std::printf("linked; no CUDA device here: %s\n", cudaGetErrorString(status));
    return 0;
  }
  try {
    report("linear layer", libraries.linear({128, 784, 300, DType::F32, true}, Direction::Forward));
    report("convolution",
           libraries.convolution({32, 32, 32, 16, 16, 3, 3, 1, 1, 1, DType::BF16, false}, Direction::Forward));
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  return 0;
}
