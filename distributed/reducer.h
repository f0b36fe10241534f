// Sums gradients over the ranks of a trial: buckets filled in the order in which gradients become
// final, sent while the reverse pass goes on. Only live entries travel (Keep and Trainable), unless
// a step asks for dense gradients. All ranks build the same plan from the same graph and masks.
// Borrows communicator, parameters and program; not synchronised.
//
// Two ways: through the host and MPI (HostReducer), or from device to device (DeviceReducer).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "distributed/train_job.h"

namespace winnow {

class Reducer {
 public:
  Reducer() = default;
  virtual ~Reducer() = default;  // waits for nobody
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;

  virtual void watch() = 0;                 // from here on the program tells this reducer of its gradients
  virtual void begin_step(bool dense) = 0;  // before each run; looks at the masks again if they changed
  // After the run the program's loss, counts and mark of what is not finite are sums already, and the host need not look.
  virtual bool sums_in_place() const = 0;
  // Otherwise: `extra` are this rank's, and become sums.
  virtual void finish(std::span<float> extra) = 0;

  virtual std::int64_t bytes_sent() const = 0;   // handed to the all-reduce by this rank so far
  virtual std::int64_t bytes_dense() const = 0;  // what every gradient dense would have been
};

// The way of this job. The program is that of its training.
std::unique_ptr<Reducer> make_reducer(const TrainJob& job, ParamStore& params, CompiledNetwork& net);

// Gradients of one message, by size: a bucket closes when it holds at least `bucket_bytes`. Pure.
constexpr std::size_t kBucketBytes = std::size_t{1} << 20;
std::vector<std::vector<ParamId>> plan_buckets(std::span<const ParamId> order, std::span<const std::int64_t> counts,
                                               std::size_t bucket_bytes);
// Those of a program, in the order in which they become final.
std::vector<std::vector<ParamId>> gradient_buckets(const CompiledNetwork& net, const ParamStore& params,
                                                   std::size_t bucket_bytes);
bool has_mask(const ParamStore& params, ParamId id);
// Which entries of a parameter are kept and trained, in order.
std::vector<std::uint32_t> live_entries(const ParamStore& params, ParamId id);

}  // namespace winnow
