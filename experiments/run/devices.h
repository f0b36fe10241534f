// Where the trials of a run are trained: what `train.device` means here. A plain value. Every rank has a GPU for its trials,
// or none has, since the ranks of a trial compute alike.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/trial.h"
#include "kernels/gpus.h"

namespace winnow {

inline constexpr const char* kDeviceKey = "train.device";

struct RunDevices {
  int gpus = 0;                         // of this rank's machine
  std::string name;                     // of the first one
  std::string problem;                  // why there are none; empty where nobody looked
  std::vector<std::string> uuids = {};  // by number
  std::set<int> lost = {};              // numbers of those that did not start; where that is all, it counts for nothing

  int usable() const;
  // The GPU that process number `place` of this machine trains a trial with this train.device on; nothing: the CPU.
  std::optional<int> gpu_of(const std::string& device, int place) const;
  std::optional<int> gpu_of(const TrialSpec& spec, int place) const;
  // The number that this GPU has `now`: those behind one that is gone move up. Nothing: it is gone.
  std::optional<int> number_in(const GpuSurvey& now, int gpu) const;
};

// What there is, seen by this process (kernels/gpus.h). A GPU is of use with NVIDIA's libraries alone, which are loaded where
// there is one.
GpuSurvey survey_gpus();

// `found`, or why its GPUs are of no use: what `load` throws.
GpuSurvey with_libraries(GpuSurvey found, const std::function<void()>& load);

// What a run on this machine would have. A process of its own looks, within a minute, so that this one never starts the
// driver.
RunDevices devices_of_machine();

// `wanted`: train.device of the trials that are to be trained; nothing is looked for where none asks for it. With `in_child`
// a process of its own looks, so that this one can still fork others that use the GPUs. Error{Unavailable}, on all ranks,
// where a trial must have a GPU and a rank has none. Collective over `world`.
RunDevices find_devices(Communicator& world, const std::set<std::string>& wanted, bool in_child);

// Whether another of these ranks of one machine, which all have GPUs, takes the same one as this rank. They know it by its UUID: each
// may see other GPUs. Collective over `node`.
bool shares_its_gpu(Communicator& node, const RunDevices& devices);

}  // namespace winnow
