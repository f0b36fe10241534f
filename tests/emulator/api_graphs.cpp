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
  return std::find(last.begin(), last.end(), true) == last.end();
}

void end_capture(Machine& machine, const std::shared_ptr<Capture>& capture) {
  capture->ended = true;
  std::erase(machine.captures, capture);
  for (const std::shared_ptr<CUstream_st>& stream : machine.queues) {
    if (stream->capture != capture) continue;
    stream->capture = nullptr;
    stream->tail.clear();
  }
}

}  // namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call("cudaStreamBeginCapture", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    if (handle == nullptr || mode != cudaStreamCaptureModeThreadLocal) return cudaErrorStreamCaptureUnsupported;
    const std::shared_ptr<CUstream_st> stream = machine.stream_of(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) return cudaErrorIllegalState;
    stream->capture = std::make_shared<Capture>(Capture{handle, std::this_thread::get_id()});
    machine.captures.push_back(stream->capture);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return call("cudaStreamEndCapture", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    *graph = nullptr;
    const std::shared_ptr<CUstream_st> stream = machine.stream_of(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    const std::shared_ptr<Capture> capture = stream->capture;
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
    const auto made = std::make_shared<CUgraph_st>(CUgraph_st{capture->graph});
    machine.graphs[*graph = made.get()] = made;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return call("cudaGraphInstantiate", Needs::WorkingDevice, [&](Machine& machine, Machine::Lock&) {
    const auto found = machine.graphs.find(graph);
    if (found == machine.graphs.end()) return cudaErrorInvalidValue;
    const auto made = std::make_shared<CUgraphExec_st>(CUgraphExec_st{found->second->graph});
    machine.graph_execs[*exec = made.get()] = made;
    ++machine.direct.recordings;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  announce_launch();
  return stream_call("cudaGraphLaunch", handle, [&](Machine& machine, Machine::Lock&, const auto& stream) {
    const auto found = machine.graph_execs.find(exec);
    if (found == machine.graph_execs.end()) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t refused = machine.refuse_in_capture(*stream); refused != cudaSuccess) return refused;
    CUgraphExec_st& launched = *found->second;
    ++machine.direct.graph_launches;
    for (const GraphNode& node : launched.graph->nodes) count(machine.in_graphs, node.work);
    Queued queued;
    queued.graph = launched.graph;
    queued.after = launched.last;
    queued.reached = launched.last = std::make_shared<Moment>();
    queued.done.resize(launched.graph->nodes.size());
    machine.push(stream, std::move(queued));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call("cudaGraphDestroy", Needs::Device,
              [&](Machine& machine, Machine::Lock&) { return release(machine, machine.graphs, graph); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return call("cudaGraphExecDestroy", Needs::Device,
              [&](Machine& machine, Machine::Lock&) { return release(machine, machine.graph_execs, exec); });
}
