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

struct EmulatedDevice {
  cudaError_t coming = cudaSuccess;  // at the next call that waits
  cudaError_t sticky = cudaSuccess;
  bool unchecked = false;  // work has run since its canaries were looked at
  std::shared_ptr<CUstream_st> null_stream;
};

class Machine {
 public:
  using Lock = std::unique_lock<std::mutex>;

  static Machine& instance();
  void reset();

  // The stream of a handle, null for none; the null stream is the one of the calling thread's device.
  std::shared_ptr<CUstream_st> stream_of(cudaStream_t handle);
  cudaError_t enqueue(const std::shared_ptr<CUstream_st>& stream, Work work);
  void push(const std::shared_ptr<CUstream_st>& stream, Queued queued);

  // Waits, as the host does, until all these are reached or the device has an error, which is returned.
  cudaError_t wait(Lock& lock, int device, const std::vector<std::shared_ptr<Moment>>& moments);
  cudaError_t wait_for_stream(Lock& lock, const std::shared_ptr<CUstream_st>& stream);
  cudaError_t wait_for_device(Lock& lock, int device);
  // Executes a little, as time goes by while a host asks again and again.
  void some_progress(Lock& lock, int device);

  // Error of a call that may not be made while a capture is under way, which it breaks.
  cudaError_t refuse_in_capture();
  cudaError_t refuse_in_capture(const CUstream_st& stream);
  void report(const std::string& work, const std::string& what, int device, cudaError_t error);
  void drop_work_of(int device);
  // Whether a graph that is not destroyed, or a capture under way, holds work of this owner.
  bool is_recorded(const void* owner) const;

  std::mutex mutex;
  std::condition_variable changed;  // something was queued or reached

  LaneOrder lane_order = LaneOrder::Forward;
  std::uint64_t lane_seed = 0, launches = 0;
  std::mt19937_64 random;  // of streams
  std::size_t memory_limit = std::size_t{1} << 30;
  int compute_capability = 90, driver_version = CUDART_VERSION;
  std::vector<EmulatedDevice> devices;
  Memory memory;
  std::vector<std::shared_ptr<CUstream_st>> queues;  // streams, and destroyed ones that have work left
  Handles<CUstream_st> streams;
  Handles<CUevent_st> events;
  Handles<CUgraph_st> graphs;
  Handles<CUgraphExec_st> graph_execs;
  Handles<ncclComm> communicators;
  std::vector<std::shared_ptr<Capture>> captures;  // under way
  Counts direct, in_graphs;
  std::vector<Report> reports;
  std::function<void()> before_launches;
  std::multimap<std::string, std::pair<int, cudaError_t>, std::less<>> faults;  // calls to go until it strikes

 private:
  bool execute_one(int device);
  bool is_ready(const Work& work);
  bool can_run(const CUstream_st& stream);
  void execute(CUstream_st& stream, const Work& work);
  void execute_head(CUstream_st& stream);
  std::vector<std::size_t> runnable_nodes(const Queued& head);

  CUstream_st* last_run_ = nullptr;
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
