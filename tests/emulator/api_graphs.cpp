// Runtime functions on captures and graphs (include/cuda_runtime.h).
#include <algorithm>

#include "tests/emulator/call.h"

using namespace winnow::emulator;

namespace {

// Whether every node without a successor is one that the origin has waited for.
bool joined(const Capture& capture) {
  const std::vector<GraphNode>& nodes = capture.graph->nodes;
  std::vector<bool> last(nodes.size(), true);
  for (const GraphNode& node : nodes) {
    for (const std::size_t before : node.after) last[before] = false;
  }
  for (const std::size_t node : capture.origin->tail) last[node] = false;
  return std::ranges::find(last, true) == last.end();
}

void end_capture(Machine& machine, const std::shared_ptr<Capture>& capture) {
  capture->ended = true;
  for (const std::shared_ptr<CUstream_st>& stream : machine.queues) {
    if (stream->capture != capture) continue;
    stream->capture = nullptr;
    stream->tail.clear();
  }
}

}  // namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return stream_call("cudaStreamBeginCapture", handle, [&](Machine&, Machine::Lock&, CUstream_st& stream) {
    if (handle == nullptr || mode != cudaStreamCaptureModeThreadLocal) return cudaErrorStreamCaptureUnsupported;
    if (stream.capture != nullptr) return cudaErrorIllegalState;
    stream.capture = std::make_shared<Capture>(Capture{handle, std::this_thread::get_id()});
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  *graph = nullptr;
  return stream_call("cudaStreamEndCapture", handle, [&](Machine& machine, Machine::Lock&, CUstream_st& stream) {
    const std::shared_ptr<Capture> capture = stream.capture;
    if (capture == nullptr) return cudaErrorIllegalState;
    if (capture->thread != std::this_thread::get_id()) return cudaErrorStreamCaptureWrongThread;
    if (capture->origin != handle) {
      capture->broken = true;
      return cudaErrorStreamCaptureUnmatched;
    }
    const bool whole = joined(*capture);
    end_capture(machine, capture);
    if (capture->broken) return cudaErrorStreamCaptureInvalidated;
    if (!whole) return cudaErrorStreamCaptureUnjoined;
    *graph = add(machine.graphs, {capture->graph});
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t handle, unsigned long long) {
  return call("cudaGraphInstantiate", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    const std::shared_ptr<CUgraph_st> graph = find(machine.graphs, handle);
    if (graph == nullptr) return cudaErrorInvalidValue;
    *exec = add(machine.graph_execs, {graph->graph});
    ++machine.direct.recordings;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  announce_launch();
  return stream_call("cudaGraphLaunch", handle, [&](Machine& machine, Machine::Lock&, CUstream_st& stream) {
    const std::shared_ptr<CUgraphExec_st> launched = find(machine.graph_execs, exec);
    if (launched == nullptr) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t refused = machine.refuse_in_capture(&stream); refused != cudaSuccess) return refused;
    ++machine.direct.graph_launches;
    for (const GraphNode& node : launched->graph->nodes) count(machine.in_graphs, node.work);
    const auto end = std::make_shared<Moment>();
    machine.push(stream, {launched->graph, std::exchange(launched->last, end), end});
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return release("cudaGraphDestroy", &MachineState::graphs, graph); }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return release("cudaGraphExecDestroy", &MachineState::graph_execs, exec);
}
