// Runtime functions on memory (include/cuda_runtime.h).
#include <algorithm>
#include <cstring>

#include "tests/emulator/call.h"

using namespace winnow::emulator;

namespace {

enum class Side { Device, Pinned, Host, Nowhere };

Side side_of(const Memory& memory, const void* at, std::size_t bytes) {
  if (const Memory::Allocation* holder = memory.holder(at, bytes); holder != nullptr) {
    return holder->device == Memory::kHost ? Side::Pinned : Side::Device;
  }
  // Beyond the end of something that begins before, or freed.
  return at == nullptr || memory.around(at) != nullptr ? Side::Nowhere : Side::Host;
}

bool direction_fits(cudaMemcpyKind kind, bool from_device, bool to_device) {
  return from_device == (kind != cudaMemcpyHostToDevice) && to_device == (kind != cudaMemcpyDeviceToHost);
}

// What is gone when its turn comes.
void still_there(const Memory& memory, const void* at, std::size_t bytes) {
  if (memory.holder(at, bytes) == nullptr) {
    throw Failure("it touches memory that was freed while the work was queued", cudaErrorIllegalAddress);
  }
}

// Frees what begins there on the device, or on the host, once the device that may use it has done what is queued.
cudaError_t free_memory(const char* name, void* pointer, bool on_host) {
  return call(name, Needs::Device, [&](Machine& machine, Machine::Lock& lock) {
    if (pointer == nullptr && !on_host) return device_error(machine);
    if (const cudaError_t refused = machine.refuse_in_capture(); refused != cudaSuccess) return refused;
    const Memory::Allocation* allocation = machine.memory.beginning(pointer);
    if (allocation == nullptr || (allocation->device == Memory::kHost) != on_host) return cudaErrorInvalidValue;
    const cudaError_t error = machine.wait_for_queues(lock, on_host ? host_thread().device : allocation->device);
    machine.memory.free(*allocation);
    return error;
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

cudaError_t cudaFree(void* pointer) { return free_memory("cudaFree", pointer, false); }

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return call("cudaMallocHost", Needs::NoCapture, [&](Machine& machine, Machine::Lock&) {
    *pointer = machine.memory.allocate(Memory::kHost, bytes);
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* pointer) { return free_memory("cudaFreeHost", pointer, true); }

// Pageable memory of the host CUDA has read when the call returns, or it waits until that is written; pinned memory when the
// copy's turn comes.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  return stream_call("cudaMemcpyAsync", handle, [&](Machine& machine, Machine::Lock& lock, CUstream_st& stream) {
    if (kind < cudaMemcpyHostToDevice || kind > cudaMemcpyDeviceToDevice) return cudaErrorInvalidMemcpyDirection;
    if (bytes == 0) return cudaSuccess;
    const Side target = side_of(machine.memory, to, bytes), source = side_of(machine.memory, from, bytes);
    if (target == Side::Nowhere || source == Side::Nowhere) return cudaErrorInvalidValue;
    if (!direction_fits(kind, source == Side::Device, target == Side::Device)) return cudaErrorInvalidValue;
    const bool host = target == Side::Host || source == Side::Host;
    if (host && stream.capture != nullptr) return machine.refuse_in_capture(&stream);
    Work work{.kind = Kind::Copy, .name = "cudaMemcpyAsync", .run = {}};
    if (source != Side::Device) work.to_device = bytes;
    if (target != Side::Device) work.to_host = bytes;
    const auto* first = static_cast<const std::byte*>(from);
    std::vector<std::byte> held;
    if (source == Side::Host) held.assign(first, first + bytes);
    work.run = [&machine, to, target, from, source, bytes, held = std::move(held)] {
      if (target != Side::Host) still_there(machine.memory, to, bytes);
      if (source != Side::Host) still_there(machine.memory, from, bytes);
      std::memmove(to, held.empty() ? from : held.data(), bytes);
    };
    const cudaError_t error = machine.enqueue(stream, std::move(work));
    return error != cudaSuccess || target != Side::Host ? error : machine.wait_for_queues(lock, stream.device, &stream);
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t handle) {
  return stream_call("cudaMemsetAsync", handle, [&](Machine& machine, Machine::Lock&, CUstream_st& stream) {
    if (bytes == 0) return cudaSuccess;
    if (side_of(machine.memory, to, bytes) != Side::Device) return cudaErrorInvalidValue;
    return machine.enqueue(stream,
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
