// For how many more trials like those in hand a GPU has memory: what is free there, by what they are planned with. One
// thread, which opens a queue on the GPU of its own; borrows all it is given.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "experiments/run/shared_board.h"
#include "experiments/trial_table.h"
#include "kernels/device.h"

namespace winnow {

class RoomOnGpu {
 public:
  RoomOnGpu(const TrialTable& trials, std::optional<int> gpu, std::span<const SharedBoard::Entry> entries)
      : trials_(trials), gpu_(gpu), entries_(entries) {}

  // 0 as well where it cannot be found out.
  int now();

 private:
  std::size_t planned(std::size_t at);

  const TrialTable& trials_;
  std::optional<int> gpu_;
  std::span<const SharedBoard::Entry> entries_;
  std::shared_ptr<DeviceStream> stream_;
  std::map<std::size_t, std::size_t> by_setup_;  // planned bytes
};

}  // namespace winnow
