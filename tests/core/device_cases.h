// What kernels for devices are tested on: the examples of the ops that have their own, and more shapes. Values; thread-safe.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "core/op.h"

namespace winnow::test {

struct DeviceCase {
  std::string op;
  OpExample example;
};
std::ostream& operator<<(std::ostream& stream, const DeviceCase& c);

// The op is computed on devices in another way than on the CPU.
bool has_own_kernel(const OpDef& op);
std::vector<DeviceCase> device_cases();

DeviceCase norm_case(const Shape& x, bool running, bool relu, bool residual);
DeviceCase wavelet_case(const Shape& x, const char* variant, const std::vector<std::int64_t>& bands);

}  // namespace winnow::test
