// NVIDIA's libraries as the CUDA back end uses them: what kernels/cuda/vendor has for the rest. Loading them takes a while, and
// a machine that never sees a GPU need not have them. So `winnow` has all that calls them in a module, libwinnow_cuda.so, which
// is loaded at first use; a program that is linked with kernels/cuda/vendor itself needs no module. Thread-safe; what is loaded
// stays until the process ends.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "kernels/device_group.h"
#include "kernels/layer.h"

namespace winnow::cuda {

struct Libraries {
  // Null where the libraries have no way, with sums where the shape wants them, or this build has not the library. Operands
  // must be 16-byte aligned.
  std::unique_ptr<PlannedLayer> (*linear)(const LinearShape& shape, Direction direction);
  std::unique_ptr<PlannedLayer> (*convolution)(const ConvShape& shape, Direction direction);
  DeviceGroups (*nccl)();                            // null in builds without NCCL
  std::map<std::string, std::string> (*versions)();  // "cublaslt", "cudnn", "nccl"; needs no driver
};

// Of a program with the CUDA back end. Throws std::runtime_error, one line, where they cannot be loaded.
const Libraries& libraries();

}  // namespace winnow::cuda
