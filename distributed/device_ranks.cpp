#include "distributed/device_ranks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.h"
#include "distributed/agree.h"
#include "distributed/ranks_lost.h"
#include "kernels/gpu_libraries.h"

namespace winnow {

DeviceGroups DeviceRanks::installed() {
  const auto nccl = cuda::open_stream != nullptr ? cuda::libraries().nccl : nullptr;
  return nccl != nullptr ? nccl() : DeviceGroups{};
}

DeviceRanks::DeviceRanks(Communicator& comm, std::shared_ptr<DeviceStream> stream)
    : DeviceRanks(comm, std::move(stream), Options{}) {}

DeviceRanks::DeviceRanks(Communicator& comm, std::shared_ptr<DeviceStream> stream, Options options)
    : comm_(comm), stream_(std::move(stream)), time_limit_(options.time_limit) {
  DeviceIdentity own;
  std::string id;
  agree(comm_, [&] {
    if (!options.groups.open) fail(ErrorKind::Site, "this winnow was built without NCCL, which sums over GPUs");
    own = stream_->identity();
    if (comm_.rank() != 0) return;
    for (const std::byte byte : options.groups.new_id()) id += static_cast<char>(byte);
  });
  check_devices(comm_, own);
  share_text(comm_, id, 0);
  attendance_ = comm_.attendance();
  try {
    group_ = options.groups.open(std::as_bytes(std::span(id)), comm_.rank(), comm_.size(), *stream_,
                                 [this](double waited) { wait_on(waited, true); });
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(ErrorKind::Unavailable, "{} of {} ranks: {}", operation_.what, comm_.size(), error.what());
  }
  stream_->be_patient([this](double waited) { wait_on(waited, false); });
}

DeviceRanks::~DeviceRanks() { stream_->be_patient({}); }

void DeviceRanks::begin(const Operation& operation) {
  operation_ = operation;
  ++place_;
}

void DeviceRanks::sum(float* data, std::size_t count) {
  try {
    group_->all_reduce_sum(data, count);
  } catch (const RanksLost&) {  // by its patience
    throw;
  } catch (const std::exception& error) {
    lose(error.what());
    throw_lost();
  }
}

void DeviceRanks::lose(const std::string& why) {
  lost_ = fmt::format("{} of {} ranks", operation_.what, comm_.size());
  if (operation_.messages > 0) {
    lost_ += fmt::format(" ({} message{}, {} bytes)", operation_.messages, operation_.messages == 1 ? "" : "s",
                         operation_.bytes);
  }
  lost_ += ": " + why;
}

// What calls from within the group may be in the midst of a recording, which holds sums for which the abort would wait for
// ever. So that only throws; the recording ends on the way out, and the first wait for the stream after it, or the end of the
// group, aborts.
void DeviceRanks::wait_on(double waited, bool within_group) {
  if (lost_.empty()) {
    const std::string why = why_lost(waited);
    if (why.empty()) return;
    lose(why);
  }
  if (!within_group) {
    if (before_abort_) before_abort_();
    if (group_) group_->abort();
  }
  throw_lost();
}

void DeviceRanks::throw_lost() const { throw RanksLost(lost_, why_); }

// Empty: nothing is known against them.
std::string DeviceRanks::why_lost(double waited) {
  if (const auto peer = comm_.lost_peer()) {
    why_ = peer->ended ? RanksLost::Why::Ended : RanksLost::Why::Other;
    return peer->who;
  }
  if (group_) {
    try {
      group_->check();
    } catch (const std::exception& error) {
      return error.what();
    }
  }
  // Late enough that no step has to say anything, early enough to be heard before anybody gives up.
  if (said_ != place_ && waited > std::min(5.0, time_limit_ / 4)) {
    attendance_->say(place_);
    said_ = place_;
  }
  if (said_ == place_) attendance_->heard(comm_.rank());  // takes in what the others say
  if (waited <= time_limit_) return "";
  why_ = RanksLost::Why::Late;
  return fmt::format("not done after {} s; {}", time_limit_,
                     who_is_absent(*attendance_, comm_.rank(), comm_.size(), place_));
}

void check_devices(Communicator& comm, const DeviceIdentity& own) {
  std::vector<DeviceIdentity> all(static_cast<std::size_t>(comm.size()), own);
  for (int rank = 0; rank < comm.size(); ++rank) {
    DeviceIdentity& device = all[static_cast<std::size_t>(rank)];
    share_text(comm, device.model, rank);
    share_text(comm, device.id, rank);
  }
  for (std::size_t later = 1; later < all.size(); ++later) {
    const auto same =
        std::ranges::find(all.begin(), all.begin() + static_cast<long>(later), all[later].id, &DeviceIdentity::id);
    const auto earlier = static_cast<std::size_t>(same - all.begin());
    if (earlier != later) {
      throw UnfitDevices(
          ErrorKind::Site,
          fmt::format("ranks {} and {} of a trial have the same GPU, {} {}: a trial takes one GPU a rank", earlier,
                      later, all[later].model, all[later].id));
    }
    if (all[later].model != all[0].model) {
      throw UnfitDevices(
          ErrorKind::Site,
          fmt::format("rank 0 of a trial has the GPU {}, rank {} the GPU {}: a trial takes GPUs of one model",
                      all[0].model, later, all[later].model));
    }
  }
}

}  // namespace winnow
