// What tests call (emulator.h).
#include "tests/emulator/machine.h"

namespace winnow::emulator {

namespace {

template <class Body>
auto locked(const Body& body) {
  Machine& machine = Machine::instance();
  const Machine::Lock lock(machine.mutex);
  return body(machine);
}

}  // namespace

void reset() {
  locked([](Machine& machine) { machine.reset(); });
}
void set_lane_order(LaneOrder order, std::uint64_t seed) {
  locked([&](Machine& machine) {
    machine.lane_order = order;
    machine.lane_seed = seed;
  });
}
void set_stream_seed(std::uint64_t seed) {
  locked([&](Machine& machine) { machine.random.seed(seed); });
}
void set_device_count(int count) {
  locked([&](Machine& machine) { machine.devices.assign(static_cast<std::size_t>(count), {}); });
}
void set_memory_limit(std::size_t bytes) {
  locked([&](Machine& machine) { machine.memory_limit = bytes; });
}
void set_driver_version(int version) {
  locked([&](Machine& machine) { machine.driver_version = version; });
}

Counts counts(Within within) {
  return locked([&](Machine& machine) { return within == Within::Direct ? machine.direct : machine.in_graphs; });
}
void reset_counts() {
  locked([](Machine& machine) { machine.direct = machine.in_graphs = {}; });
}

Live live() {
  return locked([](Machine& machine) {
    return Live{machine.memory.live(),  machine.memory.live_pinned(), machine.streams.size(),
                machine.events.size(), machine.graphs.size(),        machine.graph_execs.size()};
  });
}
std::size_t pending() {
  return locked([](Machine& machine) {
    std::size_t sum = 0;
    for (const auto& stream : machine.queues) sum += stream->queue.size();
    return sum;
  });
}

void fail(std::string_view call, int nth, cudaError_t error) {
  locked([&](Machine& machine) { machine.faults.emplace(call, std::pair{nth, error}); });
}
void fail_device(int device, cudaError_t error) {
  locked([&](Machine& machine) { machine.devices.at(static_cast<std::size_t>(device)).coming = error; });
}
void clear_error(int device) {
  locked([&](Machine& machine) {
    EmulatedDevice& of = machine.devices.at(static_cast<std::size_t>(device));
    of.coming = of.sticky = cudaSuccess;
    host_thread().last_error = cudaSuccess;
  });
}

std::vector<Report> reports() {
  return locked([](Machine& machine) { return machine.reports; });
}
void clear_reports() {
  locked([](Machine& machine) { machine.reports.clear(); });
}

}  // namespace winnow::emulator
