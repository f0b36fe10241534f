// The device that tests in this folder run on: the emulated one (test_emulated) or a GPU (test_gpu). The same sources are
// built for both.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>

#include "kernels/device.h"

#if defined(WINNOW_EMULATED)
#include "tests/emulator/emulator.h"
#endif

namespace winnow::test {

#if defined(WINNOW_EMULATED)
constexpr bool kEmulated = true;
#else
constexpr bool kEmulated = false;
#endif

inline std::shared_ptr<DeviceStream> open_device() {
  if (cuda::open_stream == nullptr) throw std::runtime_error("this program was linked without the CUDA back end");
  return cuda::open_stream(0);
}

// Calls run() once for each order in which the emulator takes blocks and lanes, on a machine that is as at the start, and
// fails for whatever a kernel did wrong there. On a GPU, once.
inline void in_every_order(const std::function<void()>& run) {
#if defined(WINNOW_EMULATED)
  using emulator::LaneOrder;
  for (const LaneOrder order : {LaneOrder::Forward, LaneOrder::Backward, LaneOrder::Shuffled}) {
    SCOPED_TRACE("lane order " + std::to_string(static_cast<int>(order)));
    emulator::reset();
    emulator::set_lane_order(order, 5);
    emulator::set_stream_seed(static_cast<std::uint64_t>(order));
    try {
      run();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    for (const emulator::Report& report : emulator::reports()) ADD_FAILURE() << report.work << ": " << report.what;
    EXPECT_EQ(emulator::live(), emulator::Live{}) << "something of the device was not given back";
  }
#else
  run();
#endif
}

}  // namespace winnow::test
