#include "tests/emulator/call.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdlib>

#include "tests/emulator/block.h"

namespace winnow::emulator {

namespace {

std::string kernel_name(const KernelLaunch& launch) {
  Dl_info symbol{};
  if (dladdr(launch.function, &symbol) == 0 || symbol.dli_sname == nullptr || symbol.dli_saddr != launch.function) {
    return launch.parameters;
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> plain(
      abi::__cxa_demangle(symbol.dli_sname, nullptr, nullptr, &status), &std::free);
  return status == 0 ? plain.get() : symbol.dli_sname;
}

bool launchable(const KernelLaunch& launch) {
  return launch.block > 0 && launch.block <= Block::kMostThreads && launch.grid > 0 && launch.grid < 1u << 31;
}

// Kernels are launched on streams of the device that is current, work of libraries too.
bool is_of_current_device(const CUstream_st& stream) { return stream.device == host_thread().device; }

}  // namespace

cudaError_t strike(Machine& machine, const char* name) {
  cudaError_t struck = cudaSuccess;
  auto [fault, end] = machine.faults.equal_range(std::string_view(name));
  while (fault != end) {
    if (--fault->second.first > 0) {
      ++fault;
    } else {
      struck = fault->second.second;
      fault = machine.faults.erase(fault);
    }
  }
  return struck;
}

void announce_launch() {
  Machine& machine = Machine::instance();
  Machine::Lock lock(machine.mutex);
  const std::function<void()> call = machine.before_launches;
  lock.unlock();
  if (call) call();
}

cudaError_t entry_error(Machine& machine, const char* name, Needs needs) {
  if (const cudaError_t fault = strike(machine, name); fault != cudaSuccess) return fault;
  if (machine.driver_version < CUDART_VERSION / 1000 * 1000) return cudaErrorInsufficientDriver;
  if (needs == Needs::Driver) return cudaSuccess;
  if (machine.devices.empty()) return cudaErrorNoDevice;
  if (static_cast<std::size_t>(host_thread().device) >= machine.devices.size()) return cudaErrorInvalidDevice;
  if (needs == Needs::Device) return cudaSuccess;
  if (const cudaError_t sticky = device_error(machine); sticky != cudaSuccess) return sticky;
  return needs == Needs::NoCapture ? machine.refuse_in_capture() : cudaSuccess;
}

cudaError_t enqueue(const char* name, cudaStream_t handle, Work work) {
  return stream_call(name, handle, [&](Machine& machine, Machine::Lock&, CUstream_st& stream) {
    if (!is_of_current_device(stream)) return cudaErrorInvalidResourceHandle;
    return machine.enqueue(stream, std::move(work));
  });
}

cudaError_t injected(const char* name) {
  Machine& machine = Machine::instance();
  const Machine::Lock lock(machine.mutex);
  return strike(machine, name);
}

bool is_device_memory(const void* at, std::size_t bytes) {
  Machine& machine = Machine::instance();
  const Machine::Lock lock(machine.mutex);
  const Memory::Allocation* holder = machine.memory.holder(at, bytes);
  return holder != nullptr && holder->device != Memory::kHost;
}

void launch_kernel(cudaStream_t handle, KernelLaunch launch) {
  announce_launch();
  stream_call("launch", handle, [&](Machine& machine, Machine::Lock&, CUstream_st& stream) {
    if (!launchable(launch)) return cudaErrorInvalidConfiguration;
    if (!is_of_current_device(stream)) return cudaErrorInvalidResourceHandle;
    std::string name = kernel_name(launch);
    return machine.enqueue(
        stream, {.kind = Kind::Kernel, .name = std::move(name), .run = [&machine, launch = std::move(launch)] {
                   Block::of_this_thread().run(launch, machine.lane_order, machine.lane_seed + machine.launches++);
                 }});
  });
}

}  // namespace winnow::emulator
