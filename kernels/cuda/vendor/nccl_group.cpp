// DeviceGroup (kernels/device_group.h) by NCCL. The communicator is a non-blocking one, so no call into NCCL waits: what it
// answers is asked for again and again, as long as the patience of the group lasts.
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "kernels/cuda/vendor/errors.h"
#include "kernels/cuda/vendor/libraries.h"
#include "kernels/waited.h"

static_assert(NCCL_VERSION_CODE >= NCCL_VERSION(2, 18, 0), "winnow needs NCCL 2.18 or later");

namespace winnow::cuda::vendor {
namespace {

void check_nccl(ncclResult_t status, const char* call) {
  if (status != ncclSuccess) fail(call, ncclGetErrorString(status));
}

class NcclGroup final : public DeviceGroup {
 public:
  NcclGroup(std::span<const std::byte> id, int rank, int size, DeviceStream& beside, const Patience& patience)
      : rank_(rank), size_(size), patience_(patience), stream_(beside.beside()) {
    ncclUniqueId unique;
    if (id.size() != sizeof unique) fail("ncclCommInitRankConfig", "this is no id of NCCL");
    std::memcpy(&unique, id.data(), sizeof unique);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t status = ncclCommInitRankConfig(&comm_, size, unique, rank, &config);
    try {
      finish(status, "ncclCommInitRankConfig");
    } catch (...) {
      abort();
      throw;
    }
  }
  ~NcclGroup() override { abort(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  DeviceStream& stream() override { return *stream_; }

  void all_reduce_sum(float* data, std::size_t count) override {
    require_open("ncclAllReduce");
    const auto queue = static_cast<cudaStream_t>(stream_->queue());
    finish(ncclAllReduce(data, data, count, ncclFloat, ncclSum, comm_, queue), "ncclAllReduce");
  }

  void check() override {
    require_open("ncclCommGetAsyncError");
    const ncclResult_t status = state();
    if (status != ncclInProgress) fail_unless_done(status, "NCCL");
  }

  // Not ncclCommFinalize and ncclCommDestroy, which wait for other ranks. Whoever calls has dropped the recordings that hold
  // sums of this group: NCCL waits until none does (commDestroySync, localPersistentRefs).
  void abort() noexcept override {
    if (comm_ != nullptr) static_cast<void>(ncclCommAbort(comm_));
    comm_ = nullptr;
  }

 private:
  void require_open(const char* call) const {
    if (comm_ == nullptr) fail(call, "the ranks were given up before");
  }
  ncclResult_t state() const {
    ncclResult_t status = ncclSuccess;
    check_nccl(ncclCommGetAsyncError(comm_, &status), "ncclCommGetAsyncError");
    return status;
  }
  void fail_unless_done(ncclResult_t status, const char* call) const {
    if (status == ncclSuccess) return;
    const char* more = comm_ != nullptr ? ncclGetLastError(comm_) : nullptr;
    std::string text = ncclGetErrorString(status);
    if (more != nullptr && *more != '\0') text.append(": ").append(more);
    std::ranges::replace(text, '\n', ' ');
    fail(call, text);
  }
  // Until the call has done what the host has to do for it: queued its work, or connected ranks.
  void finish(ncclResult_t status, const char* call) const {
    for (Waited clock; status == ncclInProgress; status = state()) {
      const double waited = clock.look();
      patience_(waited);
      if (waited < 0.02) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    }
    fail_unless_done(status, call);
  }

  int rank_, size_;
  Patience patience_;
  std::shared_ptr<DeviceStream> stream_;
  ncclComm_t comm_ = nullptr;
};

std::vector<std::byte> new_nccl_id() {
  ncclUniqueId unique;
  check_nccl(ncclGetUniqueId(&unique), "ncclGetUniqueId");
  std::vector<std::byte> id(sizeof unique);
  std::memcpy(id.data(), &unique, sizeof unique);
  return id;
}

}  // namespace

DeviceGroups nccl() {
  return {.new_id = new_nccl_id,
          .open = [](std::span<const std::byte> id, int rank, int size, DeviceStream& stream,
                     const Patience& patience) -> std::unique_ptr<DeviceGroup> {
            return std::make_unique<NcclGroup>(id, rank, size, stream, patience);
          }};
}

}  // namespace winnow::cuda::vendor
