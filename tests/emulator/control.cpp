// What tests call (emulator.h).
#include <atomic>

#include "tests/emulator/machine.h"

namespace winnow::emulator {

namespace {

// The machine, locked as long as the expression lasts.
class Locked {
 public:
  Machine* operator->() { return &machine_; }

 private:
  Machine& machine_ = Machine::instance();
  const Machine::Lock lock_{machine_.mutex};
};

}  // namespace

void reset() { Locked()->reset(); }
void set_lane_order(LaneOrder order, std::uint64_t seed) {
  Locked machine;
  machine->lane_order = order;
  machine->lane_seed = seed;
}
void set_stream_seed(std::uint64_t seed) { Locked()->random.seed(seed); }
void set_device_count(int count) { Locked()->devices.assign(static_cast<std::size_t>(count), {}); }
void set_memory_limit(std::size_t bytes) { Locked()->memory_limit = bytes; }
void set_compute_capability(int capability) { Locked()->compute_capability = capability; }
void set_driver_version(int version) { Locked()->driver_version = version; }

Counts counts(Within within) { return within == Within::Direct ? Locked()->direct : Locked()->in_graphs; }
void reset_counts() {
  Locked machine;
  machine->direct = machine->in_graphs = {};
}
void before_launches(std::function<void()> call) { Locked()->before_launches = std::move(call); }
Live live() {
  Locked machine;
  return {machine->memory.live(), machine->streams.size(),     machine->events.size(),
          machine->graphs.size(), machine->graph_execs.size(), machine->communicators.size()};
}
std::size_t pending() {
  Locked machine;
  std::size_t sum = 0;
  for (const auto& stream : machine->queues) sum += stream->queue.size();
  return sum;
}

void fail(std::string_view call, int nth, cudaError_t error) { Locked()->faults.emplace(call, std::pair{nth, error}); }
// Without the lock, which the thread that a signal interrupts may hold.
void fail_device(int device, cudaError_t error) {
  std::atomic_ref(Machine::instance().device_at(device).coming).store(error);
}
void clear_error(int device) {
  Locked machine;
  machine->device_at(device).coming = machine->device_at(device).sticky = cudaSuccess;
  host_thread().last_error = cudaSuccess;
}

std::vector<Report> reports() { return Locked()->reports; }
void clear_reports() { Locked()->reports.clear(); }

}  // namespace winnow::emulator
