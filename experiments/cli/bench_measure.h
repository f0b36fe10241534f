// Measures training steps of one model on images made in memory. Owns nothing of the device; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/passes.h"
#include "core/program.h"
#include "experiments/cli/bench_subject.h"
#include "kernels/device.h"

namespace winnow {

struct Measured {
  std::vector<double> seconds, cpu_seconds;  // of a step, ascending; on a device means over steps queued together
  std::vector<Program::NodeTime> nodes;
  double profiled = 0;  // seconds of the steps that `nodes` is of
  std::int64_t steps = 0, macs = 0, memory = 0;
  double loss = 0;
  DType compute = DType::F32;
  // Of a device only.
  std::string gpu = {};
  double copied = 0;  // bytes/s that a copy within its memory reads and writes
  StepPlan plan = {};
  FusedStatistics statistics = {};

  double median() const { return seconds[seconds.size() / 2]; }
  double cpu_median() const { return cpu_seconds[cpu_seconds.size() / 2]; }
};

// For about `budget` seconds; without a stream on the CPU.
Measured measure_steps(const BenchSubject& subject, int threads, double budget,
                       const std::shared_ptr<DeviceStream>& stream);

}  // namespace winnow
