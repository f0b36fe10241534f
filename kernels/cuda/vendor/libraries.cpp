#include "kernels/cuda/vendor/libraries.h"

#include <winnow_sources.h>

#include <cstddef>

#include "kernels/cuda/vendor/layers.h"

// Of libraries that may be linked, declared here by hand: weak, so that each is asked only where something else needs it.
extern "C" {
[[gnu::weak]] std::size_t cublasLtGetVersion();
[[gnu::weak]] std::size_t cudnnGetVersion();
[[gnu::weak]] int ncclGetVersion(int* version);
}

namespace winnow::cuda {
namespace {

std::map<std::string, std::string> library_versions() {
  std::map<std::string, std::string> versions;
  // 130200 and 92000 are 13.2.0 and 9.20.0; NCCL's 22809 is 2.28.9.
  const auto text = [](std::size_t major, std::size_t minor, std::size_t patch) {
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  };
  if (cublasLtGetVersion != nullptr) {
    const std::size_t v = cublasLtGetVersion();
    versions["cublaslt"] = text(v / 10000, v / 100 % 100, v % 100);
  }
  if (cudnnGetVersion != nullptr) {
    const std::size_t v = cudnnGetVersion();
    versions["cudnn"] = text(v / 10000, v / 100 % 100, v % 100);
  }
  int v = 0;
  if (ncclGetVersion != nullptr && ncclGetVersion(&v) == 0) {
    const auto n = static_cast<std::size_t>(v);
    versions["nccl"] = text(n / 10000, n / 100 % 100, n % 100);
  }
  return versions;
}

}  // namespace
}  // namespace winnow::cuda

const char winnow_cuda_sources[] = WINNOW_KERNEL_SOURCES;

const winnow::cuda::Libraries* winnow_cuda_libraries() {
  using namespace winnow::cuda;
  static constexpr Libraries kAll = {.linear = vendor::make_layer,
                                     .convolution = vendor::make_layer,
                                     .nccl = vendor::nccl,
                                     .versions = library_versions};
  return &kAll;
}
