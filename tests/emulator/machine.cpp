#include "tests/emulator/machine.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace winnow::emulator {

void install_fault_handler();  // fault_handler.cpp

HostThread& host_thread() {
  static thread_local HostThread thread;
  return thread;
}

Machine& Machine::instance() {
  // Never destroyed: what static objects of tests own is given back after main.
  static Machine* const machine = [] {
    install_fault_handler();
    return new Machine;
  }();
  return *machine;
}

std::size_t gpus_at_start() {
  const char* const said = std::getenv("WINNOW_EMULATED_GPUS");
  return said == nullptr ? 1 : std::stoul(said);
}

void Machine::reset() {
  memory.clear();
  static_cast<MachineState&>(*this) = {};
  host_thread() = {};
}

std::shared_ptr<CUstream_st> Machine::stream_of(cudaStream_t handle) {
  if (handle != nullptr) return find(streams, handle);
  const int device = host_thread().device;
  std::shared_ptr<CUstream_st>& own = device_at(device).null_stream;
  if (own == nullptr) queues.push_back(own = std::make_shared<CUstream_st>(CUstream_st{device}));
  return own;
}

void count(Counts& counts, const Work& work) {
  // In the order of Kind.
  std::size_t* const of_kinds[] = {&counts.kernels, &counts.copies, &counts.memsets, &counts.library};
  ++*of_kinds[static_cast<std::size_t>(work.kind)];
  counts.bytes_to_device += work.to_device;
  counts.bytes_to_host += work.to_host;
}

cudaError_t Machine::enqueue(CUstream_st& stream, Work work) {
  if (stream.capture == nullptr) {
    count(direct, work);
    const auto graph = std::make_shared<Graph>();
    graph->nodes.push_back({std::move(work), {}});
    push(stream, {.graph = graph});
    return cudaSuccess;
  }
  if (stream.capture->broken) return cudaErrorStreamCaptureInvalidated;
  std::vector<GraphNode>& nodes = stream.capture->graph->nodes;
  nodes.push_back({std::move(work), std::move(stream.tail)});
  stream.tail = {nodes.size() - 1};
  return cudaSuccess;
}

void Machine::push(CUstream_st& stream, Queued queued) {
  queued.done.resize(queued.graph->nodes.size());
  stream.queue.push_back(std::move(queued));
  changed.notify_all();
}

void Machine::report(const std::string& work, const std::string& what, int device, cudaError_t error) {
  reports.push_back({work, what});
  cudaError_t& sticky = device_at(device).sticky;
  if (sticky == cudaSuccess) sticky = error;
}

bool Machine::is_recorded(const void* owner) const {
  const auto holds = [&](const std::shared_ptr<const Graph>& graph) {
    return std::ranges::any_of(graph->nodes, [&](const GraphNode& node) { return node.work.owner == owner; });
  };
  const auto any = [&](const auto& handles) {
    return std::ranges::any_of(handles, [&](const auto& entry) { return holds(entry.second->graph); });
  };
  return any(graphs) || any(graph_execs) || std::ranges::any_of(queues, [&](const auto& stream) {
           return stream->capture != nullptr && holds(stream->capture->graph);
         });
}

cudaError_t Machine::refuse_in_capture(const CUstream_st* only) {
  cudaError_t refused = cudaSuccess;
  for (const std::shared_ptr<CUstream_st>& stream : queues) {
    const std::shared_ptr<Capture>& capture = stream->capture;
    if (capture == nullptr) continue;
    if (only == nullptr ? capture->thread != std::this_thread::get_id() : only != stream.get()) continue;
    capture->broken = true;
    refused = cudaErrorStreamCaptureUnsupported;
  }
  return refused;
}

}  // namespace winnow::emulator
