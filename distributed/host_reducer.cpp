#include "distributed/host_reducer.h"

#include <algorithm>

namespace winnow {

HostReducer::HostReducer(Communicator& comm, ParamStore& params, CompiledNetwork& net, std::size_t bucket_bytes)
    : comm_(comm), params_(params), net_(net), live_(params.size()), masked_(params.size(), false) {
  if (comm_.size() == 1) return;
  for (auto& members : gradient_buckets(net, params, bucket_bytes)) {
    Bucket bucket;
    std::size_t size = 0;
    for (const ParamId id : members) {
      bucket_of_[net.gradients[bucket_of_.size()].first] = buckets_.size();
      size += static_cast<std::size_t>(params.specs()[static_cast<std::size_t>(id)].shape.numel());
    }
    bucket.params = std::move(members);
    bucket.buffer.resize(size);
    buckets_.push_back(std::move(bucket));
  }
  buckets_.emplace_back();  // of the extra values
}

HostReducer::~HostReducer() {
  if (std::none_of(buckets_.begin(), buckets_.end(), [](const Bucket& bucket) { return bucket.work != nullptr; }))
    return;
  left_behind_->swap(buckets_);
  static_cast<void>(left_behind_.release());
}

void HostReducer::watch() {
  std::vector<ValueId> watched;
  for (const auto& [value, id] : net_.gradients) watched.push_back(value);
  if (comm_.size() == 1) watched.clear();  // nothing is sent
  net_.program.watch(watched, [this](ValueId value) { ready(value); });
}

void HostReducer::rebuild() {
  revision_ = params_.mask_revision();
  for (std::size_t p = 0; p < params_.size(); ++p) {
    masked_[p] = has_mask(params_, ParamId(p));
    live_[p] = masked_[p] ? live_entries(params_, ParamId(p)) : std::vector<std::uint32_t>{};
  }
}

void HostReducer::begin_step(bool dense) {
  if (comm_.size() == 1) return;
  if (revision_ != params_.mask_revision()) rebuild();
  dense_ = dense;
  for (Bucket& bucket : buckets_) bucket.missing = bucket.params.size();
}

std::size_t HostReducer::pack(ParamId param, float* out) const {
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

std::size_t HostReducer::unpack(ParamId param, const float* in) {
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

void HostReducer::launch(Bucket& bucket) {
  bucket.used = 0;
  for (const ParamId id : bucket.params) {
    bucket.used += pack(id, bucket.buffer.data() + bucket.used);
    bytes_dense_ += params_.specs()[static_cast<std::size_t>(id)].shape.numel() * 4;
  }
  bytes_sent_ += static_cast<std::int64_t>(bucket.used) * 4;
  if (bucket.used > 0) bucket.work = comm_.all_reduce_sum(std::span(bucket.buffer.data(), bucket.used));
}

void HostReducer::ready(ValueId gradient) {
  Bucket& bucket = buckets_[bucket_of_.at(gradient)];
  for (Bucket& other : buckets_) {
    if (other.work) other.work->poll();  // lets messages under way make progress
  }
  if (--bucket.missing == 0) launch(bucket);
}

void HostReducer::finish(std::span<float> extra) {
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
