// A Reducer from device to device. A bucket is gathered, summed and, at the end of the run, scattered by work that the
// reducer queues on the group's queue beside the reverse pass, so a program that is recorded takes it along and the host does
// nothing in a replay. Loss, counts and the mark of what is not finite are summed the same way, in their places: whoever reads
// them after a run reads sums, and every rank takes the same decision. MPI is not touched.
#pragma once

#include <array>
#include <map>
#include <memory>

#include "core/memory.h"
#include "distributed/reducer.h"
#include "kernels/functors/rank_sums.h"

namespace winnow {

class DeviceReducer final : public Reducer {
 public:
  // `masks`: there may come some, whose memory is taken here.
  DeviceReducer(DeviceRanks& ranks, ParamStore& params, CompiledNetwork& net, bool masks,
                std::size_t bucket_bytes = kBucketBytes);

  void watch() override;
  void begin_step(bool dense) override;
  bool sums_in_place() const override { return true; }
  void finish(std::span<float>) override {}
  std::int64_t bytes_sent() const override { return bytes_sent_; }
  std::int64_t bytes_dense() const override { return bytes_dense_; }

 private:
  // What travels of a bucket: all entries, or those that are live.
  struct Part {
    LiveSegments segments{};
    std::int64_t count = 0;
  };
  struct Bucket {
    std::vector<ParamId> params;
    float* buffer = nullptr;
    std::array<Part, 2> parts{};  // live, dense
    std::size_t missing = 0;
  };
  const Part& part(const Bucket& bucket) const { return bucket.parts[dense_ ? 1 : 0]; }
  Exec on(DeviceStream& stream) const;
  void note_numbers();
  void rebuild();
  void ready(ValueId gradient);
  void last();

  DeviceRanks& ranks_;
  ParamStore& params_;
  CompiledNetwork& net_;
  std::vector<Bucket> buckets_;
  std::map<ValueId, std::size_t> bucket_of_;  // of gradients
  Memory buffers_, tables_, live_;            // of the device
  Memory number_table_, number_buffer_;
  std::int64_t numbers_ = 0;
  std::uint64_t revision_ = ~std::uint64_t{0};
  // What programs record it by: of these masks, and of dense gradients.
  std::array<std::shared_ptr<const void>, 2> plans_;
  bool masked_ = false, dense_ = false;
  std::int64_t bytes_sent_ = 0, bytes_dense_ = 0;
};

}  // namespace winnow
