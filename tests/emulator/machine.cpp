#include "tests/emulator/machine.h"

#include <algorithm>

namespace winnow::emulator {

void install_fault_handler();  // fault_handler.cpp

HostThread& host_thread() {
  static thread_local HostThread thread;
  return thread;
}

Machine& Machine::instance() {
  // Never destroyed: what static objects of tests own is given back after main.
  static Machine* const machine = [] {
    auto* made = new Machine;
    made->reset();
    install_fault_handler();
    return made;
  }();
  return *machine;
}

void Machine::reset() {
  lane_order = LaneOrder::Forward;
  lane_seed = launches = 0;
  random.seed(0);
  memory_limit = std::size_t{1} << 30;
  compute_capability = 90;
  driver_version = CUDART_VERSION;
  queues.clear();
  last_run_ = nullptr;
  streams.clear();
  events.clear();
  graphs.clear();
  graph_execs.clear();
  communicators.clear();
  captures.clear();
  memory.clear();
  direct = in_graphs = {};
  reports.clear();
  faults.clear();
  before_launches = {};
  devices.assign(1, {});
  host_thread() = {};
}

std::shared_ptr<CUstream_st> Machine::stream_of(cudaStream_t handle) {
  if (handle != nullptr) {
    const auto found = streams.find(handle);
    return found == streams.end() ? nullptr : found->second;
  }
  const int device = host_thread().device;
  std::shared_ptr<CUstream_st>& own = devices.at(static_cast<std::size_t>(device)).null_stream;
  if (own == nullptr) queues.push_back(own = std::make_shared<CUstream_st>(CUstream_st{device}));
  return own;
}

void count(Counts& counts, const Work& work) {
  switch (work.kind) {
    case Kind::Kernel:
      ++counts.kernels;
      break;
    case Kind::Copy:
      ++counts.copies;
      break;
    case Kind::Memset:
      ++counts.memsets;
      break;
    case Kind::Library:
      ++counts.library;
      break;
  }
  counts.bytes_to_device += work.to_device;
  counts.bytes_to_host += work.to_host;
}

cudaError_t Machine::enqueue(const std::shared_ptr<CUstream_st>& stream, Work work) {
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (stream->capture == nullptr) {
    count(direct, work);
    push(stream, {.work = std::move(work)});
    return cudaSuccess;
  }
  if (stream->capture->broken) return cudaErrorStreamCaptureInvalidated;
  std::vector<GraphNode>& nodes = stream->capture->graph->nodes;
  nodes.push_back({std::move(work), std::move(stream->tail)});
  stream->tail = {nodes.size() - 1};
  return cudaSuccess;
}

void Machine::push(const std::shared_ptr<CUstream_st>& stream, Queued queued) {
  stream->queue.push_back(std::move(queued));
  changed.notify_all();
}

void Machine::report(const std::string& work, const std::string& what, int device, cudaError_t error) {
  reports.push_back({work, what});
  EmulatedDevice& of = devices.at(static_cast<std::size_t>(device));
  if (of.sticky == cudaSuccess) of.sticky = error;
}

bool Machine::is_recorded(const void* owner) const {
  const auto holds = [&](const std::shared_ptr<const Graph>& graph) {
    return std::ranges::any_of(graph->nodes, [&](const GraphNode& node) { return node.work.owner == owner; });
  };
  const auto any = [&](const auto& handles) {
    return std::ranges::any_of(handles, [&](const auto& entry) { return holds(entry.second->graph); });
  };
  return any(graphs) || any(graph_execs) ||
         std::ranges::any_of(captures, [&](const auto& capture) { return holds(capture->graph); });
}

cudaError_t Machine::refuse_in_capture() {
  cudaError_t refused = cudaSuccess;
  for (const std::shared_ptr<Capture>& capture : captures) {
    if (capture->thread != std::this_thread::get_id()) continue;
    capture->broken = true;
    refused = cudaErrorStreamCaptureUnsupported;
  }
  return refused;
}

cudaError_t Machine::refuse_in_capture(const CUstream_st& stream) {
  if (stream.capture == nullptr) return cudaSuccess;
  stream.capture->broken = true;
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace winnow::emulator
