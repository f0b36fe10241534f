// Runtime functions on devices, versions and errors (include/cuda_runtime.h).
#include <cstring>

#include "tests/emulator/block.h"
#include "tests/emulator/call.h"

using namespace winnow::emulator;

namespace {

bool exists(const Machine& machine, int device) {
  return device >= 0 && static_cast<std::size_t>(device) < machine.devices.size();
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call("cudaGetDeviceCount", Needs::Driver, [&](Machine& machine, Machine::Lock&) {
    *count = static_cast<int>(machine.devices.size());
    return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return call("cudaSetDevice", Needs::Driver, [&](Machine& machine, Machine::Lock&) {
    if (machine.devices.empty()) return cudaErrorNoDevice;
    if (!exists(machine, device)) return cudaErrorInvalidDevice;
    host_thread().device = device;
    return device_error(machine);
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call("cudaGetDevice", Needs::Device, [&](Machine&, Machine::Lock&) {
    *device = host_thread().device;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call("cudaGetDeviceProperties", Needs::Device, [&](Machine& machine, Machine::Lock&) {
    if (!exists(machine, device)) return cudaErrorInvalidDevice;
    *properties = {};
    std::strcpy(properties->name, "Emulated GPU");
    properties->uuid.bytes[0] = static_cast<char>(device + 1);
    properties->totalGlobalMem = machine.memory_limit;
    properties->sharedMemPerBlock = Block::kMostShared;
    properties->warpSize = warpSize;
    properties->maxThreadsPerBlock = static_cast<int>(Block::kMostThreads);
    properties->major = machine.compute_capability / 10;
    properties->minor = machine.compute_capability % 10;
    properties->multiProcessorCount = 4;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return call("cudaDeviceCanAccessPeer", Needs::Device, [&](Machine& machine, Machine::Lock&) {
    if (!exists(machine, device) || !exists(machine, peer)) return cudaErrorInvalidDevice;
    *can = device != peer;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return call("cudaDeviceSynchronize", Needs::NoCapture, [](Machine& machine, Machine::Lock& lock) {
    return machine.wait_for_queues(lock, host_thread().device);
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  Machine& machine = Machine::instance();
  const Machine::Lock lock(machine.mutex);
  *version = machine.driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  Machine& machine = Machine::instance();
  HostThread& thread = host_thread();
  const Machine::Lock lock(machine.mutex);
  const cudaError_t sticky = exists(machine, thread.device) ? device_error(machine) : cudaSuccess;
  // A device that failed in another thread's call has not failed here until a call of this thread has said so.
  if (thread.last_error != cudaSuccess && sticky != cudaSuccess) return sticky;
  return std::exchange(thread.last_error, cudaSuccess);
}

#define WINNOW_ERROR_TEXT(name, number, text) \
  if (error == name) return text;
const char* cudaGetErrorString(cudaError_t error) {
  WINNOW_CUDA_ERRORS(WINNOW_ERROR_TEXT)
  return "unrecognized error code";
}
