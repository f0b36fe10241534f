// What every runtime function does around its own work: takes the machine's lock, gives injected faults and errors of driver and
// device, and remembers an error for cudaGetLastError.
#pragma once

#include "tests/emulator/machine.h"

namespace winnow::emulator {

// What a call cannot do without. One that gives something back works on a device that has failed, and then says so.
enum class Needs : std::uint8_t { Driver, Device, WorkingDevice, NoCapture };

// The error with which the call ends at once, or cudaSuccess. Locked.
cudaError_t entry_error(Machine& machine, const char* name, Needs needs);
// Before a launch, not locked: what the test has to say to it.
void announce_launch();
// The fault that strikes this call, if one does. Locked.
cudaError_t strike(Machine& machine, const char* name);

// body(machine, lock) -> cudaError_t
template <class Body>
cudaError_t call(const char* name, Needs needs, const Body& body) {
  HostThread& thread = host_thread();
  // Work of the device must not call the runtime.
  if (thread.executing != nullptr) return cudaErrorNotPermitted;
  Machine& machine = Machine::instance();
  Machine::Lock lock(machine.mutex);
  cudaError_t error = entry_error(machine, name, needs);
  if (error == cudaSuccess) error = body(machine, lock);
  if (error != cudaSuccess) thread.last_error = error;
  return error;
}

// The same for a call on a stream: body(machine, lock, stream).
template <class Body>
cudaError_t stream_call(const char* name, cudaStream_t handle, const Body& body) {
  return call(name, Needs::WorkingDevice, [&](Machine& machine, Machine::Lock& lock) {
    const std::shared_ptr<CUstream_st> stream = machine.stream_of(handle);
    return stream == nullptr ? cudaErrorInvalidResourceHandle : body(machine, lock, *stream);
  });
}

// The error that the current device has for good, for calls that work on one that has failed.
inline cudaError_t device_error(Machine& machine) { return machine.device_at(host_thread().device).sticky; }

// A call that gives back the object of a handle.
template <class T>
cudaError_t release(const char* name, Handles<T> MachineState::*handles, const T* handle) {
  return call(name, Needs::Device, [&](Machine& machine, Machine::Lock&) {
    return (machine.*handles).erase(handle) == 0 ? cudaErrorInvalidResourceHandle : device_error(machine);
  });
}

}  // namespace winnow::emulator
