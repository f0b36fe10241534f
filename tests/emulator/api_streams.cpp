// Runtime functions on streams and events (include/cuda_runtime.h).
#include <algorithm>

#include "tests/emulator/call.h"

using namespace winnow::emulator;

namespace {

// Waits in a stream for an event of a capture: the stream takes part in that capture from here on.
cudaError_t join_capture(CUstream_st& stream, const CUevent_st& event) {
  if (event.capture->ended) return cudaErrorCapturedEvent;
  if (stream.capture != nullptr && stream.capture != event.capture) {
    stream.capture->broken = event.capture->broken = true;
    return cudaErrorStreamCaptureMerge;
  }
  stream.capture = event.capture;
  for (const std::size_t node : event.tail) {
    if (std::ranges::find(stream.tail, node) == stream.tail.end()) stream.tail.push_back(node);
  }
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return call("cudaStreamCreateWithFlags", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    if (flags != cudaStreamNonBlocking) return cudaErrorNotSupported;
    *stream = add(machine.streams, {host_thread().device});
    machine.queues.push_back(machine.streams[*stream]);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return call("cudaStreamDestroy", Needs::Device, [&](Machine& machine, Machine::Lock&) {
    const std::shared_ptr<CUstream_st> stream = find(machine.streams, handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) stream->capture->broken = true;
    machine.streams.erase(handle);  // what is queued still runs
    return device_error(machine);
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return stream_call("cudaStreamSynchronize", handle, [](Machine& machine, Machine::Lock& lock, CUstream_st& stream) {
    const cudaError_t refused = machine.refuse_in_capture(&stream);
    return refused != cudaSuccess ? refused : machine.wait_for_queues(lock, stream.device, &stream);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return stream_call("cudaStreamQuery", handle, [](Machine& machine, Machine::Lock& lock, CUstream_st& stream) {
    if (const cudaError_t refused = machine.refuse_in_capture(&stream); refused != cudaSuccess) return refused;
    if (stream.queue.empty()) return machine.wait(lock, stream.device, {});
    machine.some_progress(lock, stream.device);  // time goes by
    return cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t of, unsigned) {
  return stream_call("cudaStreamWaitEvent", handle, [&](Machine& machine, Machine::Lock&, CUstream_st& stream) {
    const std::shared_ptr<CUevent_st> event = find(machine.events, of);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream.capture != nullptr && stream.capture->broken) return cudaErrorStreamCaptureInvalidated;
    if (event->capture != nullptr) return join_capture(stream, *event);
    if (event->moment == nullptr) return cudaSuccess;
    if (stream.capture != nullptr) {
      stream.capture->broken = true;
      return cudaErrorStreamCaptureIsolation;
    }
    machine.push(stream, {.after = event->moment});
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call("cudaEventCreateWithFlags", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    if ((flags & ~cudaEventBlockingSync) != cudaEventDisableTiming) return cudaErrorNotSupported;
    *event = add(machine.events, {.blocking = (flags & cudaEventBlockingSync) != 0});
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) { return release("cudaEventDestroy", &MachineState::events, event); }

cudaError_t cudaEventQuery(cudaEvent_t of) {
  return call("cudaEventQuery", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock& lock) {
    const std::shared_ptr<CUevent_st> event = find(machine.events, of);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (event->capture != nullptr) {
      event->capture->broken = true;
      return cudaErrorCapturedEvent;
    }
    if (event->moment == nullptr || event->moment->reached) return machine.wait(lock, host_thread().device, {});
    machine.some_progress(lock, host_thread().device);  // time goes by
    return cudaErrorNotReady;
  });
}

// Of events that put the host to sleep; it would spin for others.
cudaError_t cudaEventSynchronize(cudaEvent_t of) {
  return call("cudaEventSynchronize", Needs::NoCapture, [&](Machine& machine, Machine::Lock& lock) {
    const std::shared_ptr<CUevent_st> event = find(machine.events, of);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (!event->blocking) return cudaErrorNotSupported;
    if (event->moment == nullptr) return cudaSuccess;
    ++machine.direct.synchronisations;
    return machine.wait(lock, host_thread().device, {event->moment});
  });
}

cudaError_t cudaEventRecord(cudaEvent_t of, cudaStream_t handle) {
  return stream_call("cudaEventRecord", handle, [&](Machine& machine, Machine::Lock&, CUstream_st& stream) {
    const std::shared_ptr<CUevent_st> event = find(machine.events, of);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream.capture != nullptr && stream.capture->broken) return cudaErrorStreamCaptureInvalidated;
    event->capture = stream.capture;
    event->tail = stream.tail;
    event->moment = nullptr;
    if (stream.capture != nullptr) return cudaSuccess;
    event->moment = std::make_shared<Moment>();
    machine.push(stream, {.reached = event->moment});
    return cudaSuccess;
  });
}
