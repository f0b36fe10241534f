#include "distributed/reducer.h"

#include <algorithm>

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

Reducer::Reducer(Communicator& comm, ParamStore& params, std::vector<ParamId> order, std::size_t bucket_bytes)
    : comm_(comm), params_(params), bucket_of_(params.size(), 0), live_(params.size()), masked_(params.size(), false) {
  if (comm_.size() == 1) return;
  std::vector<std::int64_t> counts;
  for (const ParamSpec& spec : params.specs()) counts.push_back(spec.shape.numel());
  for (auto& members : plan_buckets(order, counts, bucket_bytes)) {
    Bucket bucket;
    std::size_t size = 0;
    for (const ParamId id : members) {
      bucket_of_[static_cast<std::size_t>(id)] = buckets_.size();
      size += static_cast<std::size_t>(counts[static_cast<std::size_t>(id)]);
    }
    bucket.params = std::move(members);
    bucket.buffer.resize(size);
    buckets_.push_back(std::move(bucket));
  }
  buckets_.emplace_back();  // of the extra values
}

Reducer::~Reducer() {
  if (std::none_of(buckets_.begin(), buckets_.end(), [](const Bucket& bucket) { return bucket.work != nullptr; }))
    return;
  left_behind_->swap(buckets_);
  static_cast<void>(left_behind_.release());
}

void Reducer::rebuild() {
  revision_ = params_.mask_revision();
  for (std::size_t p = 0; p < params_.size(); ++p) {
    const ParamId id{static_cast<std::uint32_t>(p)};
    const auto keep = params_.mask(id, MaskKind::Keep), train = params_.mask(id, MaskKind::Trainable);
    live_[p].clear();
    masked_[p] = !keep.empty() || !train.empty();
    if (!masked_[p]) continue;
    const auto count = static_cast<std::uint32_t>(params_.specs()[p].shape.numel());
    for (std::uint32_t i = 0; i < count; ++i) {
      if ((keep.empty() || keep[i] != 0) && (train.empty() || train[i] != 0)) live_[p].push_back(i);
    }
  }
}

void Reducer::begin_step(bool dense) {
  if (comm_.size() == 1) return;
  if (revision_ != params_.mask_revision()) rebuild();
  dense_ = dense;
  for (Bucket& bucket : buckets_) bucket.missing = bucket.params.size();
}

std::size_t Reducer::pack(ParamId param, float* out) const {
  const auto p = static_cast<std::size_t>(param);
  const auto grad = params_.own_gradient(param);
  if (dense_ || !masked_[p]) {
    std::copy(grad.begin(), grad.end(), out);
    return grad.size();
  }
  const auto& live = live_[p];
  for (std::size_t i = 0; i < live.size(); ++i) out[i] = grad[live[i]];
  return live.size();
}

std::size_t Reducer::unpack(ParamId param, const float* in) {
  const auto p = static_cast<std::size_t>(param);
  const auto grad = params_.change_own_gradient(param);
  if (dense_ || !masked_[p]) {
    std::copy(in, in + grad.size(), grad.begin());
    return grad.size();
  }
  const auto& live = live_[p];
  for (std::size_t i = 0; i < live.size(); ++i) grad[live[i]] = in[i];
  return live.size();
}

void Reducer::launch(Bucket& bucket) {
  bucket.used = 0;
  for (const ParamId id : bucket.params) {
    bucket.used += pack(id, bucket.buffer.data() + bucket.used);
    bytes_dense_ += params_.specs()[static_cast<std::size_t>(id)].shape.numel() * 4;
  }
  bytes_sent_ += static_cast<std::int64_t>(bucket.used) * 4;
  if (bucket.used > 0) bucket.work = comm_.all_reduce_sum(std::span(bucket.buffer.data(), bucket.used));
}

void Reducer::ready(ParamId param) {
  if (comm_.size() == 1) return;
  Bucket& bucket = buckets_[bucket_of_[static_cast<std::size_t>(param)]];
  for (Bucket& other : buckets_) {
    if (other.work) other.work->poll();  // lets messages under way make progress
  }
  if (--bucket.missing == 0) launch(bucket);
}

void Reducer::finish(std::span<float> extra) {
  if (comm_.size() == 1) return;
  Bucket& last = buckets_.back();
  last.buffer.assign(extra.begin(), extra.end());
  last.work = comm_.all_reduce_sum(std::span(last.buffer));
  for (Bucket& bucket : buckets_) {
    if (!bucket.work) continue;
    bucket.work->wait();
    bucket.work.reset();
    std::size_t at = 0;
    for (const ParamId id : bucket.params) at += unpack(id, bucket.buffer.data() + at);
  }
  std::copy(last.buffer.begin(), last.buffer.end(), extra.begin());
}

}  // namespace winnow
