// Runtime functions on memory (include/cuda_runtime.h).
#include <algorithm>
#include <cstring>

#include "tests/emulator/call.h"

using namespace winnow::emulator;

namespace {

enum class Side { Device, Pinned, Host, Nowhere };

Side side_of(const Memory& memory, const void* at, std::size_t bytes) {
  if (memory.holds(at, bytes)) return Side::Device;
  if (memory.pinned(at, bytes)) return Side::Pinned;
  // Beyond the end of something that begins before, or freed.
  return at == nullptr || memory.around(at) != nullptr || memory.pinned(at, 1) ? Side::Nowhere : Side::Host;
}

bool direction_fits(cudaMemcpyKind kind, bool from_device, bool to_device) {
  return from_device == (kind != cudaMemcpyHostToDevice) && to_device == (kind != cudaMemcpyDeviceToHost);
}

// Memory of the device that is gone when its turn comes.
void still_there(const Memory& memory, const void* at, std::size_t bytes) {
  if (!memory.holds(at, bytes)) {
    throw Failure("it touches memory that was freed while the work was queued", cudaErrorIllegalAddress);
  }
}

}  // namespace

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return call("cudaMalloc", Needs::NoCapture, [&](Machine& machine, Machine::Lock&) {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    const int device = host_thread().device;
    const std::size_t used = machine.memory.used(device);
    const std::size_t room = machine.memory_limit - std::min(machine.memory_limit, used);
    const std::size_t needed = (bytes + Memory::kAlignment - 1) / Memory::kAlignment * Memory::kAlignment;
    if (needed < bytes || needed > room) return cudaErrorMemoryAllocation;
    *pointer = machine.memory.allocate(device, bytes);
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaFree(void* pointer) {
  return call("cudaFree", Needs::Device, [&](Machine& machine, Machine::Lock& lock) {
    if (pointer == nullptr) return device_error(machine);
    if (const cudaError_t refused = machine.refuse_in_capture(); refused != cudaSuccess) return refused;
    const Memory::Allocation* allocation = machine.memory.beginning(pointer);
    if (allocation == nullptr) return cudaErrorInvalidValue;
    const cudaError_t error = machine.wait_for_device(lock, allocation->device);
    machine.memory.free(*allocation);
    return error;
  });
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return call("cudaMallocHost", Needs::NoCapture, [&](Machine& machine, Machine::Lock&) {
    *pointer = machine.memory.allocate_pinned(bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* pointer) {
  return call("cudaFreeHost", Needs::Device, [&](Machine& machine, Machine::Lock& lock) {
    if (const cudaError_t refused = machine.refuse_in_capture(); refused != cudaSuccess) return refused;
    const cudaError_t error = machine.wait_for_device(lock, host_thread().device);
    return machine.memory.free_pinned(pointer) ? error : cudaErrorInvalidValue;
  });
}

// Pageable memory of the host CUDA has read when the call returns, or it waits until that is written; pinned memory when the
// copy's turn comes.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  return call("cudaMemcpyAsync", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock& lock) {
    const std::shared_ptr<CUstream_st> stream = machine.stream_of(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (kind < cudaMemcpyHostToDevice || kind > cudaMemcpyDeviceToDevice) return cudaErrorInvalidMemcpyDirection;
    if (bytes == 0) return cudaSuccess;
    const Side target = side_of(machine.memory, to, bytes), source = side_of(machine.memory, from, bytes);
    if (target == Side::Nowhere || source == Side::Nowhere) return cudaErrorInvalidValue;
    if (!direction_fits(kind, source == Side::Device, target == Side::Device)) return cudaErrorInvalidValue;
    const bool host = target == Side::Host || source == Side::Host;
    if (host && stream->capture != nullptr) return machine.refuse_in_capture(*stream);
    Work work{.kind = Kind::Copy, .name = "cudaMemcpyAsync", .run = {}};
    if (source != Side::Device) work.to_device = bytes;
    if (target != Side::Device) work.to_host = bytes;
    if (source == Side::Host) {
      const auto* first = static_cast<const std::byte*>(from);
      work.run = [&machine, to, held = std::vector<std::byte>(first, first + bytes)] {
        still_there(machine.memory, to, held.size());
        std::memcpy(to, held.data(), held.size());
      };
    } else {
      work.run = [&machine, to, target, from, source, bytes] {
        if (target == Side::Device) still_there(machine.memory, to, bytes);
        if (source == Side::Device) still_there(machine.memory, from, bytes);
        std::memmove(to, from, bytes);
      };
    }
    const cudaError_t error = machine.enqueue(stream, std::move(work));
    return error != cudaSuccess || target != Side::Host ? error : machine.wait_for_stream(lock, stream);
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return call("cudaMemsetAsync", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    if (bytes == 0) return cudaSuccess;
    if (side_of(machine.memory, to, bytes) != Side::Device) return cudaErrorInvalidValue;
    return machine.enqueue(machine.stream_of(stream),
                           {.kind = Kind::Memset, .name = "cudaMemsetAsync", .run = [&machine, to, value, bytes] {
                              still_there(machine.memory, to, bytes);
                              std::memset(to, value, bytes);
                            }});
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return call("cudaMemGetInfo", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    *total = machine.memory_limit;
    *free = machine.memory_limit - std::min(machine.memory_limit, machine.memory.used(host_thread().device));
    return cudaSuccess;
  });
}
