// For tests: a DeviceGroup whose ranks are threads of this process, on emulated devices. A sum runs when all ranks have come
// to it in their queues, and not before, as NCCL's does; with ranks that do not come, it never runs.
#pragma once

#include <memory>
#include <vector>

#include "kernels/device_group.h"

namespace winnow::test {

// One for all groups of a test.
class SummingGroups {
 public:
  SummingGroups();
  int fails_to_open = -1;  // the rank on which that fails

  DeviceGroups groups();
  std::size_t sums() const;  // that ranks have come to
  // Of each sum that the rank has queued, the kernels that all ranks had queued by then.
  std::vector<std::size_t> kernels_before(int rank) const;

  struct Board;

 private:
  std::shared_ptr<Board> board_;
};

}  // namespace winnow::test
