// The survey of kernels/gpus.h by the CUDA runtime. Makes no context on any GPU, so it takes none of their memory.
#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <cstdlib>

#include "kernels/cuda/code_for.h"
#include "kernels/cuda/uuid.cuh"
#include "kernels/gpus.h"

namespace winnow::cuda {
namespace {

// nvcc's own list, 800,900 for what cmake/cuda_objects.cmake asks for, ascending; the last one is there as PTX too.
constexpr auto kMachineCode = [] {
  std::array list = {__CUDA_ARCH_LIST__};
  for (int& capability : list) capability /= 10;
  return list;
}();
constexpr CodeFor kCode{kMachineCode, kMachineCode.back()};

// cudaGetDeviceCount says the same of no driver and of one that is too old.
std::string why_none(cudaError_t status, const GpuSurvey& found) {
  const std::string needed = cuda_version_text(found.runtime);
  if (found.driver == 0) return "no NVIDIA driver is installed, or it does not run";
  if (status == cudaErrorInsufficientDriver) {
    return "the NVIDIA driver is too old: it is for CUDA " + cuda_version_text(found.driver) +
           ", this program needs one for CUDA " + needed;
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    if (visible == nullptr) return "there is a driver for CUDA " + cuda_version_text(found.driver) + ", but no GPU";
    return std::string("no GPU is visible: CUDA_VISIBLE_DEVICES is '") + visible + "'";
  }
  return std::string("the NVIDIA driver does not work: ") + cudaGetErrorString(status);
}

}  // namespace

GpuSurvey survey_gpus() {
  GpuSurvey found;
  static_cast<void>(cudaRuntimeGetVersion(&found.runtime));
  static_cast<void>(cudaDriverGetVersion(&found.driver));
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  if (status != cudaSuccess || count == 0) {
    found.problem = why_none(status, found);
    return found;
  }
  for (int at = 0; at < count; ++at) {
    cudaDeviceProp properties;
    const cudaError_t asked = cudaGetDeviceProperties(&properties, at);
    if (asked != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      found.problem = "GPU " + std::to_string(at) + ": " + cudaGetErrorString(asked);
      found.gpus.clear();
      return found;
    }
    Gpu gpu;
    gpu.name = properties.name;
    gpu.uuid = uuid_text(properties.uuid);
    gpu.memory_bytes = properties.totalGlobalMem;
    gpu.major = properties.major;
    gpu.minor = properties.minor;
    for (int peer = 0; peer < count; ++peer) {
      int can = 0;
      if (peer == at) continue;
      if (cudaDeviceCanAccessPeer(&can, at, peer) != cudaSuccess) static_cast<void>(cudaGetLastError());
      if (can != 0) gpu.peers.push_back(peer);
    }
    found.gpus.push_back(std::move(gpu));
  }
  // Numbers of GPUs stay as CUDA has them, so one without code is a matter of all: which of them, CUDA_VISIBLE_DEVICES says.
  for (std::size_t at = 0; at < found.gpus.size(); ++at) {
    const Gpu& gpu = found.gpus[at];
    if (runs_on(kCode, 10 * gpu.major + gpu.minor)) continue;
    found.problem = "GPU " + std::to_string(at) + " (" + gpu.name + ") has compute capability " +
                    std::to_string(gpu.major) + "." + std::to_string(gpu.minor) + ", this program has code for " +
                    said_of(kCode) + " (CUDA_VISIBLE_DEVICES leaves GPUs out)";
    found.gpus.clear();
    break;
  }
  return found;
}

}  // namespace winnow::cuda
