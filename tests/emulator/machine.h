// The emulated machine: devices, memory, streams and what was counted and went wrong. One in the process. The mutex guards all
// of it; every runtime call takes it (call.h), and all members here expect it held.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/stream.h"

struct ncclComm;

namespace winnow::emulator {

// Objects by handle.
template <class T>
using Handles = std::map<const T*, std::shared_ptr<T>>;
// The handle of a new one.
template <class T>
T* add(Handles<T>& handles, T object) {
  const auto made = std::make_shared<T>(std::move(object));
  return (handles[made.get()] = made).get();
}
// Null for what is no handle.
template <class T>
std::shared_ptr<T> find(const Handles<T>& handles, const T* handle) {
  const auto found = handles.find(handle);
  return found == handles.end() ? nullptr : found->second;
}

struct EmulatedDevice {
  cudaError_t coming = cudaSuccess;  // at the next call that waits
  cudaError_t sticky = cudaSuccess;
  bool unchecked = false;  // work has run since its canaries were looked at
  std::shared_ptr<CUstream_st> null_stream;
};

std::size_t gpus_at_start();

// What reset() sets back, with its values at the start.
struct MachineState {
  LaneOrder lane_order = LaneOrder::Forward;
  std::uint64_t lane_seed = 0, launches = 0;
  std::mt19937_64 random{0};  // of streams
  std::size_t memory_limit = std::size_t{1} << 30;
  int compute_capability = 90, driver_version = CUDART_VERSION;
  std::vector<EmulatedDevice> devices = std::vector<EmulatedDevice>(gpus_at_start());
  std::vector<std::shared_ptr<CUstream_st>> queues;  // streams, and destroyed ones that have work left
  const CUstream_st* last_run = nullptr;
  Handles<CUstream_st> streams;
  Handles<CUevent_st> events;
  Handles<CUgraph_st> graphs;
  Handles<CUgraphExec_st> graph_execs;
  Handles<ncclComm> communicators;
  Counts direct, in_graphs;
  std::vector<Report> reports;
  std::function<void()> before_launches;
  std::multimap<std::string, std::pair<int, cudaError_t>, std::less<>> faults;  // calls to go until it strikes
};

class Machine : public MachineState {
 public:
  using Lock = std::unique_lock<std::mutex>;

  static Machine& instance();
  void reset();

  EmulatedDevice& device_at(int index) { return devices.at(static_cast<std::size_t>(index)); }
  // The stream of a handle, null for none; the null stream is the one of the calling thread's device.
  std::shared_ptr<CUstream_st> stream_of(cudaStream_t handle);
  cudaError_t enqueue(CUstream_st& stream, Work work);
  void push(CUstream_st& stream, Queued queued);

  // Waits, as the host does, until all these are reached or the device has an error, which is returned.
  cudaError_t wait(Lock& lock, int device, const std::vector<std::shared_ptr<Moment>>& moments);
  // For what is queued on all streams of the device, or on `only` this one.
  cudaError_t wait_for_queues(Lock& lock, int device, const CUstream_st* only = nullptr);
  // Executes a little, as time goes by while a host asks again and again.
  void some_progress(Lock& lock, int device);

  // Error of a call that may not be made while this thread captures, or while `only` this stream is captured. Breaks the capture.
  cudaError_t refuse_in_capture(const CUstream_st* only = nullptr);
  void report(const std::string& work, const std::string& what, int device, cudaError_t error);
  // Whether a graph that is not destroyed, or a capture under way, holds work of this owner.
  bool is_recorded(const void* owner) const;

  std::mutex mutex;
  std::condition_variable changed;  // something was queued or reached
  Memory memory;

 private:
  bool execute_one(int device);
  bool can_run(const CUstream_st& stream);
  void execute(const CUstream_st& stream, const Work& work);
  void execute_head(CUstream_st& stream);
  std::vector<std::size_t> runnable_nodes(const Queued& head);
  void drop_work_of(int device);
};

// Per host thread.
struct HostThread {
  int device = 0;
  cudaError_t last_error = cudaSuccess;
  const Work* executing = nullptr;
};
HostThread& host_thread();

// Adds work to the totals of its kind.
void count(Counts& counts, const Work& work);

}  // namespace winnow::emulator
