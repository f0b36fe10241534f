// A Reducer through the host's memory and MPI. On a device each gradient is fetched when it is final, so nothing of
// the run is recorded.
#pragma once

#include <map>
#include <memory>

#include "distributed/reducer.h"

namespace winnow {

class HostReducer final : public Reducer {
 public:
  HostReducer(Communicator& comm, ParamStore& params, CompiledNetwork& net, std::size_t bucket_bytes = kBucketBytes);
  // Of a step that failed, the buffers that messages still write to stay until the process ends.
  ~HostReducer() override;

  void watch() override;
  void begin_step(bool dense) override;
  bool sums_in_place() const override { return comm_.size() == 1; }
  void finish(std::span<float> extra) override;  // in a message of its own
  std::int64_t bytes_sent() const override { return bytes_sent_; }
  std::int64_t bytes_dense() const override { return bytes_dense_; }

 private:
  struct Bucket {
    std::vector<ParamId> params;
    std::vector<float> buffer;
    std::size_t missing = 0;
    std::size_t used = 0;
    std::unique_ptr<Work> work;
  };
  void ready(ValueId gradient);
  void rebuild();
  void launch(Bucket& bucket);
  std::size_t pack(ParamId param, float* out) const;
  std::size_t unpack(ParamId param, const float* in);

  Communicator& comm_;
  ParamStore& params_;
  CompiledNetwork& net_;
  std::vector<Bucket> buckets_;
  // Where the destructor leaves buckets that are under way; made beforehand, so that it allocates nothing.
  std::unique_ptr<std::vector<Bucket>> left_behind_ = std::make_unique<std::vector<Bucket>>();
  std::map<ValueId, std::size_t> bucket_of_;      // of gradients
  std::vector<std::vector<std::uint32_t>> live_;  // by parameter; empty: all
  std::vector<bool> masked_;                      // by parameter: is the live list in use
  std::uint64_t revision_ = ~std::uint64_t{0};
  bool dense_ = false;
  std::int64_t bytes_sent_ = 0, bytes_dense_ = 0;
};

}  // namespace winnow
