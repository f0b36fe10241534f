#include "experiments/run/room_on_gpu.h"

#include <algorithm>

#include "experiments/run/run_trial.h"

namespace winnow {
namespace {

// The rest is for what no plan knows: code, recordings, blocks that are larger than what was asked for.
constexpr std::size_t kUsableTenths = 9;
constexpr std::size_t kEnoughRoom = 1000;

}  // namespace

std::size_t RoomOnGpu::planned(std::size_t at) {
  const auto [known, is_new] = by_setup_.try_emplace(trials_.setup(at), 0);
  if (is_new) known->second = planned_gpu_bytes(trials_[at]);
  return known->second;
}

int RoomOnGpu::now() {
  if (!gpu_) return 0;
  try {
    std::size_t largest = 1;
    for (const SharedBoard::Entry& entry : entries_) {
      const std::int64_t at = entry.in_hand;
      if (at >= 0) largest = std::max(largest, planned(static_cast<std::size_t>(at)));
    }
    if (!stream_) stream_ = cuda::open_stream(*gpu_);
    return static_cast<int>(std::min(stream_->free_bytes() / 10 * kUsableTenths / largest, kEnoughRoom));
  } catch (const std::exception&) {  // the threads that train will say it
    return 0;
  }
}

}  // namespace winnow
