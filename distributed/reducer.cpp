#include "distributed/reducer.h"

#include "distributed/device_reducer.h"
#include "distributed/host_reducer.h"

namespace winnow {

std::vector<std::vector<ParamId>> plan_buckets(std::span<const ParamId> order, std::span<const std::int64_t> counts,
                                               std::size_t bucket_bytes) {
  std::vector<std::vector<ParamId>> buckets;
  std::size_t filled = bucket_bytes;
  for (const ParamId id : order) {
    if (filled >= bucket_bytes) {
      buckets.emplace_back();
      filled = 0;
    }
    buckets.back().push_back(id);
    filled += static_cast<std::size_t>(counts[static_cast<std::size_t>(id)]) * sizeof(float);
  }
  return buckets;
}

std::vector<std::vector<ParamId>> gradient_buckets(const CompiledNetwork& net, const ParamStore& params,
                                                   std::size_t bucket_bytes) {
  std::vector<std::int64_t> counts;
  for (const ParamSpec& spec : params.specs()) counts.push_back(spec.shape.numel());
  std::vector<ParamId> order;
  for (const auto& [value, id] : net.gradients) order.push_back(id);
  return plan_buckets(order, counts, bucket_bytes);
}

bool has_mask(const ParamStore& params, ParamId id) {
  return !params.mask(id, MaskKind::Keep).empty() || !params.mask(id, MaskKind::Trainable).empty();
}

std::vector<std::uint32_t> live_entries(const ParamStore& params, ParamId id) {
  const auto keep = params.mask(id, MaskKind::Keep), train = params.mask(id, MaskKind::Trainable);
  const auto count = static_cast<std::uint32_t>(params.specs()[static_cast<std::size_t>(id)].shape.numel());
  std::vector<std::uint32_t> live;
  for (std::uint32_t i = 0; i < count; ++i) {
    if ((keep.empty() || keep[i] != 0) && (train.empty() || train[i] != 0)) live.push_back(i);
  }
  return live;
}

std::unique_ptr<Reducer> make_reducer(const TrainJob& job, ParamStore& params, CompiledNetwork& net) {
  if (job.devices != nullptr && job.comm.size() > 1) {
    return std::make_unique<DeviceReducer>(*job.devices, params, net, job.method.touches().masks);
  }
  return std::make_unique<HostReducer>(job.comm, params, net);
}

}  // namespace winnow
