// The ranks of a trial with a device each, which sum on their devices. MPI stays the control plane: it compares the devices
// and carries the id of the group. No wait for other ranks is without an end: what they keep from ending for longer than the
// time limit becomes an error that says what was waited for and from whom nothing was heard.
//
// Owns the group and its queue, borrows the communicator, and outlives every program that was recorded with it. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "distributed/communicator.h"
#include "distributed/ranks_lost.h"
#include "kernels/device_group.h"

namespace winnow {

// The ranks of a trial have one device between two of them, or devices of two models.
struct UnfitDevices : Error {
  using Error::Error;
};

class DeviceRanks {
 public:
  struct Options {
    double time_limit = rank_time_limit();  // seconds that a rank may be late
    DeviceGroups groups = installed();
  };
  // Collective. On all ranks alike UnfitDevices, or AgreedError{Site} where there is no library. What fails after that fails
  // alone, and ends the job.
  DeviceRanks(Communicator& comm, std::shared_ptr<DeviceStream> stream, Options options);
  DeviceRanks(Communicator& comm, std::shared_ptr<DeviceStream> stream);
  ~DeviceRanks();  // meets nobody
  DeviceRanks(const DeviceRanks&) = delete;
  DeviceRanks& operator=(const DeviceRanks&) = delete;

  DeviceStream& queue() { return group_->stream(); }  // for sums, beside that of the computation
  // As DeviceGroup::all_reduce_sum(). Throws RanksLost.
  void sum(float* data, std::size_t count);
  const std::shared_ptr<DeviceStream>& stream() const { return stream_; }  // of the computation

  // What all ranks are about to queue, in words for the error of a wait that they keep from ending.
  struct Operation {
    const char* what;
    std::int64_t messages = 0, bytes = 0;
  };
  void begin(const Operation& operation);

  // Called before the group is given up: NCCL's abort waits until no recording holds a sum any more.
  void before_abort(std::function<void()> forget) { before_abort_ = std::move(forget); }

  static DeviceGroups installed();  // NCCL, or nothing

 private:
  void wait_on(double waited, bool within_group);
  std::string why_lost(double waited);
  void lose(const std::string& why);
  [[noreturn]] void throw_lost() const;

  Communicator& comm_;
  std::shared_ptr<DeviceStream> stream_;
  double time_limit_;
  std::function<void()> before_abort_;
  std::unique_ptr<Attendance> attendance_;
  std::unique_ptr<DeviceGroup> group_;
  Operation operation_{"opening the group"};
  std::string lost_;  // why the ranks are given up; empty: they are not
  RanksLost::Why why_ = RanksLost::Why::Other;
  std::int64_t place_ = 0, said_ = -1;  // operations begun; the last one of which this rank said that it waits
};

// Throws the same UnfitDevices{Site} on every rank where two have the same device, or devices of two models. Collective.
void check_devices(Communicator& comm, const DeviceIdentity& own);

}  // namespace winnow
