// Runtime functions on memory (include/cuda_runtime.h).
#include <algorithm>
#include <cstring>

#include "tests/emulator/call.h"

using namespace winnow::emulator;

namespace {

enum class Side { Device, Pinned, Pageable, Nowhere };

Side side_of(const Memory& memory, const void* at, std::size_t bytes) {
  if (memory.holds(at, bytes)) return Side::Device;
  if (memory.pinned(at, bytes)) return Side::Pinned;
  // Beyond the end of something that begins before, or freed.
  if (at == nullptr || memory.around(at) != nullptr || memory.pinned(at, 1)) return Side::Nowhere;
  return Side::Pageable;
}

bool direction_fits(cudaMemcpyKind kind, bool from_device, bool to_device) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !from_device && !to_device;
    case cudaMemcpyHostToDevice:
      return !from_device && to_device;
    case cudaMemcpyDeviceToHost:
      return from_device && !to_device;
    case cudaMemcpyDeviceToDevice:
      return from_device && to_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

// Memory that is gone when its turn comes.
void still_there(const Memory& memory, const void* at, std::size_t bytes, Side side) {
  if (side_of(memory, at, bytes) != side) {
    throw Failure("it touches memory that was freed while the work was queued", cudaErrorIllegalAddress);
  }
}

cudaError_t copy(Machine& machine, Machine::Lock& lock, void* to, const void* from, std::size_t bytes,
                 cudaMemcpyKind kind, cudaStream_t handle, bool waits) {
  const std::shared_ptr<CUstream_st> stream = machine.stream_of(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
  if (bytes == 0) return cudaSuccess;
  const Side target = side_of(machine.memory, to, bytes), source = side_of(machine.memory, from, bytes);
  if (target == Side::Nowhere || source == Side::Nowhere) return cudaErrorInvalidValue;
  if (!direction_fits(kind, source == Side::Device, target == Side::Device)) return cudaErrorInvalidValue;
  const bool pageable = target == Side::Pageable || source == Side::Pageable;
  if (pageable && stream->capture != nullptr) return machine.refuse_in_capture(*stream);
  Work work{.kind = Kind::Copy, .name = "cudaMemcpyAsync", .run = {}};
  if (source != Side::Device && target == Side::Device) work.to_device = bytes;
  if (source == Side::Device && target != Side::Device) work.to_host = bytes;
  if (source == Side::Pageable) {
    // CUDA has read pageable memory when the call returns.
    const auto* first = static_cast<const std::byte*>(from);
    work.run = [&machine, to, target, held = std::vector<std::byte>(first, first + bytes)] {
      still_there(machine.memory, to, held.size(), target);
      std::memcpy(to, held.data(), held.size());
    };
  } else {
    work.run = [&machine, to, target, from, source, bytes] {
      still_there(machine.memory, to, bytes, target);
      still_there(machine.memory, from, bytes, source);
      std::memmove(to, from, bytes);
    };
  }
  const cudaError_t error = machine.enqueue(stream, std::move(work));
  if (error != cudaSuccess || !(waits || target == Side::Pageable)) return error;
  return machine.wait_for_stream(lock, stream);
}

cudaError_t allocate_pinned(const char* name, void** pointer, std::size_t bytes) {
  return call(name, Needs::NoCapture, [&](Machine& machine, Machine::Lock&) {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    *pointer = bytes == 0 ? nullptr : machine.memory.allocate_pinned(bytes);
    return bytes != 0 && *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
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

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  return allocate_pinned("cudaHostAlloc", pointer, bytes);
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return allocate_pinned("cudaMallocHost", pointer, bytes);
}

cudaError_t cudaFreeHost(void* pointer) {
  return call("cudaFreeHost", Needs::Device, [&](Machine& machine, Machine::Lock& lock) {
    if (pointer == nullptr) return device_error(machine);
    if (const cudaError_t refused = machine.refuse_in_capture(); refused != cudaSuccess) return refused;
    const cudaError_t error = machine.wait_for_device(lock, host_thread().device);
    return machine.memory.free_pinned(pointer) ? error : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return call("cudaMemcpy", Needs::NoCapture, [&](Machine& machine, Machine::Lock& lock) {
    return copy(machine, lock, to, from, bytes, kind, nullptr, true);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpyAsync", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock& lock) {
    return copy(machine, lock, to, from, bytes, kind, stream, false);
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return call("cudaMemsetAsync", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    if (bytes == 0) return cudaSuccess;
    const Side target = side_of(machine.memory, to, bytes);
    if (target != Side::Device && target != Side::Pinned) return cudaErrorInvalidValue;
    return machine.enqueue(
        machine.stream_of(stream),
        {.kind = Kind::Memset, .name = "cudaMemsetAsync", .run = [&machine, to, target, value, bytes] {
           still_there(machine.memory, to, bytes, target);
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
