// Sums gradients over the ranks of a trial: buckets filled in the order in which gradients become
// final, sent while the reverse pass goes on. Only live entries travel (Keep and Trainable), unless
// a step asks for dense gradients. All ranks build the same plan from the same graph and masks.
// Borrows communicator and parameters; not synchronised.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/param_store.h"
#include "distributed/communicator.h"

namespace winnow {

// Gradients of one message, by size: a bucket closes when it holds at least `bucket_bytes`. Pure.
std::vector<std::vector<ParamId>> plan_buckets(std::span<const ParamId> order, std::span<const std::int64_t> counts,
                                               std::size_t bucket_bytes);

class Reducer {
 public:
  // `order`: parameters in the order in which their gradients become final.
  Reducer(Communicator& comm, ParamStore& params, std::vector<ParamId> order, std::size_t bucket_bytes = 1u << 20);
  // Waits for nobody: of a step that failed, the buffers that messages still write to stay until the process ends.
  ~Reducer();
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;

  void begin_step(bool dense);  // looks at the masks again if they changed
  void ready(ParamId param);    // its gradient is final on this rank
  // Waits for all sums; `extra` (loss and counts) is summed in a message of its own.
  void finish(std::span<float> extra);

  std::int64_t bytes_sent() const { return bytes_sent_; }    // handed to the all-reduce by this rank so far
  std::int64_t bytes_dense() const { return bytes_dense_; }  // what every gradient dense would have been

 private:
  struct Bucket {
    std::vector<ParamId> params;
    std::vector<float> buffer;
    std::size_t missing = 0;
    std::size_t used = 0;
    std::unique_ptr<Work> work;
  };
  void rebuild();
  void launch(Bucket& bucket);
  std::size_t pack(ParamId param, float* out) const;
  std::size_t unpack(ParamId param, const float* in);

  Communicator& comm_;
  ParamStore& params_;
  std::vector<Bucket> buckets_;
  // Where the destructor leaves buckets that are under way; made beforehand, so that it allocates nothing.
  std::unique_ptr<std::vector<Bucket>> left_behind_ = std::make_unique<std::vector<Bucket>>();
  std::vector<std::size_t> bucket_of_;            // by parameter
  std::vector<std::vector<std::uint32_t>> live_;  // by parameter; empty: all
  std::vector<bool> masked_;                      // by parameter: is the live list in use
  std::uint64_t revision_ = ~std::uint64_t{0};
  bool dense_ = false;
  std::int64_t bytes_sent_ = 0, bytes_dense_ = 0;
};

}  // namespace winnow
