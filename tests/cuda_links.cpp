// Links the CUDA back end as a program does: every object of it, cuBLASLt, cuDNN, NCCL and the CUDA runtime. Without a device it
// says so and succeeds; with one it makes a layer of each kind and says who computes it.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <exception>

#include "kernels/cuda/vendor/layers.h"
#include "kernels/device_group.h"
#include "kernels/gpus.h"

namespace {

template <class Shape>
void report(const char* what, const Shape& shape) {
  const auto layer = winnow::cuda::vendor::make_layer(shape, winnow::Direction::Forward);
  std::printf("%s: %s\n", what, layer == nullptr ? "no vendor library computes it" : layer->implementation().c_str());
}

}  // namespace

int main() {
  using winnow::DType;
  if (winnow::cuda::nccl == nullptr) std::printf("no NCCL\n");
  for (const auto& [name, version] : winnow::cuda::library_versions()) {
    std::printf("%s %s\n", name.c_str(), version.c_str());
  }
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    std::printf("linked; no CUDA device here: %s\n", cudaGetErrorString(status));
    return 0;
  }
  try {
    report("linear layer", winnow::LinearShape{128, 784, 300, DType::F32, true});
    report("convolution", winnow::ConvShape{32, 32, 32, 16, 16, 3, 3, 1, 1, 1, DType::BF16, false});
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  return 0;
}
