// Where programs run and what they share there: the device with its stream, and the run state that kernels read and write.
// A handle: copies are the same context. Not synchronised.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/device.h"
#include "kernels/run_state.h"

namespace winnow {

class RunContext {
 public:
  // The CPU, with this many threads. Implicit: most programs run there, and their number of threads says all.
  RunContext(int threads = 1);
  // A device; `threads` are those of programs beside it on the host.
  RunContext(std::shared_ptr<DeviceStream> stream, int threads);
  // The same place with a run state of its own.
  RunContext beside() const;

  Device device() const;
  int threads() const;
  const std::shared_ptr<DeviceStream>& stream() const;  // null: the CPU
  RunState* state() const;                              // in the memory of the device
  // Between the host and the memory of the device, in the order of what is queued; read() has waited for it.
  void write(void* to, const void* from, std::size_t bytes) const;
  void read(void* to, const void* from, std::size_t bytes) const;

  void start(const RunFeed& feed);  // what the run that is queued next reads
  const RunFeed& feed() const;      // that of the last run
  RunStatus status() const;         // after all that was queued
  void set_status(const RunStatus& status);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace winnow
