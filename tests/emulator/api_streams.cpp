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
    if (std::find(stream.tail.begin(), stream.tail.end(), node) == stream.tail.end()) stream.tail.push_back(node);
  }
  return cudaSuccess;
}

std::shared_ptr<CUevent_st> event_of(const Machine& machine, cudaEvent_t handle) {
  const auto found = machine.events.find(handle);
  return found == machine.events.end() ? nullptr : found->second;
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return call("cudaStreamCreateWithFlags", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    if (flags != cudaStreamNonBlocking) return cudaErrorNotSupported;
    const auto made = std::make_shared<CUstream_st>(CUstream_st{host_thread().device});
    machine.queues.push_back(made);
    machine.streams[*stream = made.get()] = made;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call("cudaStreamDestroy", Needs::Device, [&](Machine& machine, Machine::Lock&) {
    const auto found = machine.streams.find(stream);
    if (found == machine.streams.end()) return cudaErrorInvalidResourceHandle;
    if (found->second->capture != nullptr) found->second->capture->broken = true;
    machine.streams.erase(found);  // what is queued still runs
    return device_error(machine);
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return stream_call("cudaStreamSynchronize", handle, [&](Machine& machine, Machine::Lock& lock, const auto& stream) {
    const cudaError_t refused = machine.refuse_in_capture(*stream);
    return refused != cudaSuccess ? refused : machine.wait_for_stream(lock, stream);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return stream_call("cudaStreamQuery", handle, [&](Machine& machine, Machine::Lock& lock, const auto& stream) {
    if (const cudaError_t refused = machine.refuse_in_capture(*stream); refused != cudaSuccess) return refused;
    if (stream->queue.empty()) return machine.wait(lock, stream->device, {});
    machine.some_progress(lock, stream->device);  // time goes by
    return cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t of, unsigned) {
  return stream_call("cudaStreamWaitEvent", handle, [&](Machine& machine, Machine::Lock&, const auto& stream) {
    const std::shared_ptr<CUevent_st> event = event_of(machine, of);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr && stream->capture->broken) return cudaErrorStreamCaptureInvalidated;
    if (event->capture != nullptr) return join_capture(*stream, *event);
    if (event->moment == nullptr) return cudaSuccess;
    if (stream->capture != nullptr) {
      stream->capture->broken = true;
      return cudaErrorStreamCaptureIsolation;
    }
    machine.push(stream, {.after = event->moment});
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call("cudaEventCreateWithFlags", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    if (flags != cudaEventDisableTiming) return cudaErrorNotSupported;
    const auto made = std::make_shared<CUevent_st>();
    machine.events[*event = made.get()] = made;
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call("cudaEventDestroy", Needs::Device,
              [&](Machine& machine, Machine::Lock&) { return release(machine, machine.events, event); });
}

cudaError_t cudaEventQuery(cudaEvent_t of) {
  return call("cudaEventQuery", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock& lock) {
    const std::shared_ptr<CUevent_st> event = event_of(machine, of);
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

cudaError_t cudaEventRecord(cudaEvent_t of, cudaStream_t handle) {
  return stream_call("cudaEventRecord", handle, [&](Machine& machine, Machine::Lock&, const auto& stream) {
    const std::shared_ptr<CUevent_st> event = event_of(machine, of);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr && stream->capture->broken) return cudaErrorStreamCaptureInvalidated;
    event->capture = stream->capture;
    event->tail = stream->tail;
    event->moment = nullptr;
    if (stream->capture != nullptr) return cudaSuccess;
    event->moment = std::make_shared<Moment>();
    machine.push(stream, {.reached = event->moment});
    return cudaSuccess;
  });
}
