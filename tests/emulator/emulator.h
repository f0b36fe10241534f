// Control of the emulated CUDA machine: what tests set, break, count and read. The kernels of kernels/cuda and code that
// includes <cuda_runtime.h> run on it unchanged, on any host.
//
//   - Kernels run block by block and lane by lane on the host thread that executes them, in the order that is set here. The
//     result of a correct kernel does not depend on it by a bit.
//   - Nothing runs when it is queued. A call that waits executes what it needs, streams interleaved at random: stream order
//     and events are all that is kept, so a missing event shows as wrong data under some seed. A query executes some work.
//   - Device memory can be touched only while work is executed: host code that does faults at once. It is fresh as 0xff bytes,
//     and what lies behind its end is a guard page.
//   - What a kernel does wrong becomes a report; its device then has an error that stays until reset() or clear_error().
//   - Stricter than CUDA: lanes named in a mask must be there, captures take no memory of the host and no graph launches,
//     cudaFree waits for the device, streams must be created as non-blocking and events without times.
//
// All functions may be called from any thread; tests call reset() first, when no other thread is in a CUDA call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/emulator/include/cuda_runtime.h"

namespace winnow::emulator {

// As the machine is at the start: one device of 1 GiB (WINNOW_EMULATED_GPUS in the environment: so many), no work, memory, streams, faults, counts or reports. Handles and pointers
// from before are void. The calling thread uses device 0 and has no last error.
void reset();

// Order of blocks and of lanes of a block, for kernels that run from now on. A race shows as a difference between orders.
enum class LaneOrder : std::uint8_t { Forward, Backward, Shuffled };
void set_lane_order(LaneOrder order, std::uint64_t seed = 0);
// Interleaving of streams from now on.
void set_stream_seed(std::uint64_t seed);

// 0: no device. Memory limits and errors of devices start anew, so this comes before anything is allocated.
void set_device_count(int count);
// Of each device; cudaMemGetInfo tells it.
void set_memory_limit(std::size_t bytes);
// Of each device, 90 at the start. The sources are built as if they had code for 80 and later.
void set_compute_capability(int capability);
// As cudaDriverGetVersion gives it, 13000 at the start. A lower one is too old.
void set_driver_version(int version);

// Calls since the start or reset_counts(): when they are made, and for work in graphs when the graph is launched.
struct Counts {
  std::size_t kernels = 0, copies = 0, memsets = 0, library = 0;
  std::size_t bytes_to_device = 0, bytes_to_host = 0;
  // Of direct calls only. Recordings are graphs that were made to be launched. Synchronisations are all calls that wait, cudaFree and copies to the host too.
  std::size_t graph_launches = 0, recordings = 0, synchronisations = 0;
};
enum class Within : std::uint8_t { Direct, Graphs };
Counts counts(Within within);
void reset_counts();

// Called by each thread that launches a kernel or a graph, before it does, until reset(): how a test has something happen while
// work is under way.
void before_launches(std::function<void()> call);

// What has been made and not been given back.
struct Live {
  std::size_t device_allocations = 0, streams = 0, events = 0, graphs = 0, graph_execs = 0, communicators = 0;
  bool operator==(const Live&) const = default;
};
Live live();
// Work queued on all streams and not executed.
std::size_t pending();

// The nth call from now (1: the next) of this function returns `error` and does nothing. `call` is its name, "cudaMalloc";
// "launch" for a kernel.
void fail(std::string_view call, int nth, cudaError_t error);
// A sticky error, as cudaErrorIllegalAddress: the next call that waits for this device returns it, and every call after that.
// What is queued then is dropped. A signal handler may call it.
void fail_device(int device, cudaError_t error);
// The device has no error any more, which CUDA cannot do.
void clear_error(int device);

struct Report {
  std::string work;  // kernel or call
  std::string what;  // with the place in the sources where there is one
};
std::vector<Report> reports();
void clear_reports();

}  // namespace winnow::emulator
