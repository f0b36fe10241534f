#include "distributed/device_reducer.h"

#include "core/scalar_log.h"
#include "distributed/device_ranks.h"
#include "kernels/for_each.h"
#include "kernels/functors/gather_scalars.h"

namespace winnow {
namespace {

// Grown where they do not fit. What was queued before still finds what was there.
template <class T>
void put(const std::shared_ptr<DeviceStream>& stream, const std::vector<T>& values, Memory& memory) {
  const std::size_t bytes = values.size() * sizeof(T);
  if (memory.bytes() < bytes) memory = Memory(stream, bytes);
  stream->upload(memory.get(), values.data(), bytes);
}

}  // namespace

DeviceReducer::DeviceReducer(DeviceRanks& ranks, ParamStore& params, CompiledNetwork& net, bool masks,
                             std::size_t bucket_bytes)
    : ranks_(ranks), params_(params), net_(net) {
  std::vector<std::int64_t> begins;
  std::int64_t entries = 0;
  for (auto& members : gradient_buckets(net, params, bucket_bytes)) {
    constexpr std::int64_t kAligned = 64;  // floats
    begins.push_back(entries);
    for (const ParamId id : members) {
      bucket_of_[net.gradients[bucket_of_.size()].first] = buckets_.size();
      entries += params.specs()[static_cast<std::size_t>(id)].shape.numel();
    }
    entries = (entries + kAligned - 1) / kAligned * kAligned;
    buckets_.push_back({.params = std::move(members)});
  }
  buffers_ = Memory(ranks.stream(), static_cast<std::size_t>(entries) * sizeof(float));
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    buckets_[b].buffer = reinterpret_cast<float*>(buffers_.get()) + begins[b];
  }
  tables_ = Memory(ranks.stream(), 2 * net.gradients.size() * sizeof(LiveSegment));
  if (masks) live_ = Memory(ranks.stream(), static_cast<std::size_t>(entries) * sizeof(std::uint32_t));
  note_numbers();
}

void DeviceReducer::note_numbers() {
  std::vector<ValueId> values = {net_.loss, net_.correct};
  for (const Reported& extra : net_.reported) values.push_back(extra.value);
  numbers_ = static_cast<std::int64_t>(values.size());
  number_table_ = scalar_places(net_.program, values);
  number_buffer_ = Memory(ranks_.stream(), (values.size() + 1) * sizeof(float));
}

void DeviceReducer::watch() {
  std::vector<ValueId> watched;
  for (const auto& [value, id] : net_.gradients) watched.push_back(value);
  net_.program.watch(
      watched, [this](ValueId value) { ready(value); },
      Program::Queues{.last = [this] { last(); }, .plan = [this] { return plans_[dense_ ? 1 : 0]; }});
}

void DeviceReducer::rebuild() {
  revision_ = params_.mask_revision();
  for (auto& plan : plans_) plan = std::make_shared<char>();
  masked_ = false;
  std::vector<std::uint32_t> live;
  std::vector<LiveSegment> table;
  std::vector<std::int64_t> first_live;  // of each segment in `live`; -1: it has none
  const auto add = [&](Part& part, ParamId id, std::int64_t count, std::int64_t first) {
    if (count == 0) return;
    table.push_back({params_.grad_memory(id).as<float>(), nullptr, part.count});
    first_live.push_back(first);
    ++part.segments.count;
    part.count += count;
  };
  std::vector<std::size_t> first_segment;  // of each part
  for (Bucket& bucket : buckets_) {
    for (const bool dense : {false, true}) {
      Part& part = bucket.parts[dense ? 1 : 0] = {};
      first_segment.push_back(table.size());
      for (const ParamId id : bucket.params) {
        if (dense || !has_mask(params_, id)) {
          add(part, id, params_.specs()[static_cast<std::size_t>(id)].shape.numel(), -1);
        } else {
          masked_ = true;
          const std::vector<std::uint32_t> entries = live_entries(params_, id);
          add(part, id, static_cast<std::int64_t>(entries.size()), static_cast<std::int64_t>(live.size()));
          live.insert(live.end(), entries.begin(), entries.end());
        }
      }
    }
  }
  put(ranks_.stream(), live, live_);
  for (std::size_t s = 0; s < table.size(); ++s) {
    if (first_live[s] >= 0) table[s].live = reinterpret_cast<const std::uint32_t*>(live_.get()) + first_live[s];
  }
  put(ranks_.stream(), table, tables_);
  auto first = first_segment.begin();
  for (Bucket& bucket : buckets_) {
    for (Part& part : bucket.parts) {
      part.segments.segments = reinterpret_cast<const LiveSegment*>(tables_.get()) + *first++;
    }
  }
}

void DeviceReducer::begin_step(bool dense) {
  if (revision_ != params_.mask_revision()) rebuild();
  dense_ = dense && masked_;
  DeviceRanks::Operation sums{"the sums of a step", 1, (numbers_ + 1) * 4};
  for (Bucket& bucket : buckets_) {
    bucket.missing = bucket.params.size();
    const std::int64_t bytes = part(bucket).count * 4;
    sums.messages += bytes > 0 ? 1 : 0;
    sums.bytes += bytes;
    bytes_sent_ += bytes;
    bytes_dense_ += bucket.parts[1].count * 4;
  }
  ranks_.begin(sums);
}

Exec DeviceReducer::on(DeviceStream& stream) const {
  return {.device = stream.device(), .stream = stream.queue(), .run = net_.program.context().state()};
}

void DeviceReducer::ready(ValueId gradient) {
  Bucket& bucket = buckets_[bucket_of_.at(gradient)];
  const Part& whole = part(bucket);
  if (--bucket.missing > 0 || whole.count == 0) return;
  DeviceStream& queue = ranks_.queue();
  queue.after(*ranks_.stream());
  for_each(on(queue), whole.count, GatherLive{whole.segments, bucket.buffer});
  ranks_.sum(bucket.buffer, static_cast<std::size_t>(whole.count));
}

void DeviceReducer::last() {
  DeviceStream &queue = ranks_.queue(), &main = *ranks_.stream();
  const auto* table = reinterpret_cast<const ScalarPlace*>(number_table_.get());
  auto* buffer = reinterpret_cast<float*>(number_buffer_.get());
  const auto count = static_cast<std::size_t>(numbers_) + 1;
  queue.after(main);
  for_each(on(queue), numbers_ + 1, GatherScalars{table, numbers_, on(queue).run, buffer});
  ranks_.sum(buffer, count);
  main.after(queue);
  for (const Bucket& bucket : buckets_) {
    const Part& whole = part(bucket);
    if (whole.count > 0) for_each(on(main), whole.count, ScatterLive{whole.segments, bucket.buffer});
  }
  for_each(on(main), numbers_ + 1, ScatterScalars{table, numbers_, on(main).run, buffer});
}

}  // namespace winnow
