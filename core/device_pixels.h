// The bytes of a data set in the memory of a device: one copy for all trials of a process on that device.
#pragma once

#include <memory>

#include "core/batch.h"
#include "core/memory.h"

namespace winnow {

struct DevicePixels {
  std::shared_ptr<const void> owner;  // of the host's bytes, so that their address stays theirs
  Memory memory;
};

// The copy that some trial holds, or a new one. Null if it would take more than a quarter of what is free. Any thread.
std::shared_ptr<const DevicePixels> pixels_on(const std::shared_ptr<DeviceStream>& stream, const Pixels& pixels);

}  // namespace winnow
