#include "experiments/accounting/entry_counts.h"

#include <algorithm>
#include <bit>

namespace winnow {
namespace {

// A tensor whose values are its mask.
bool by_value(const ParamSpec& spec, std::span<const std::uint8_t> keep) { return spec.prunable && keep.empty(); }

EntryCount kept_and_live(const ParamStore& params, ParamId id) {
  const ParamSpec& spec = params.specs()[static_cast<std::size_t>(id)];
  const bool values = !spec.retired && by_value(spec, params.mask(id, MaskKind::Keep));
  return {values ? count_nonzero(params.weight(id)) : params.count(id, MaskKind::Keep), params.live(id), 0};
}

}  // namespace

bool is_trained(const ParamSpec& spec) { return spec.trainable && !spec.seeded; }

bool same_bits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

std::int64_t count_nonzero(std::span<const float> values) {
  return static_cast<std::int64_t>(values.size()) - std::count(values.begin(), values.end(), 0.0f);
}

std::vector<float> regenerated(const ParamStore& params, ParamId id) {
  const SeededInit init = params.seeded(id);
  std::vector<float> values(params.weight(id).size());
  generate(init.spec, init.key, values);
  return values;
}

EntryCounts count_entries(const ParamStore& params) {
  EntryCounts counts;
  for (std::size_t i = 0; i < params.size(); ++i) counts.push_back(kept_and_live(params, ParamId(i)));
  return counts;
}

EntryCount count_entry(const ParamStore& params, ParamId id) {
  const ParamSpec& spec = params.specs()[static_cast<std::size_t>(id)];
  const auto keep = params.mask(id, MaskKind::Keep), train = params.mask(id, MaskKind::Trainable);
  EntryCount count = kept_and_live(params, id);
  if (is_trained(spec) && train.empty()) return count;
  // Start values may come from a file, and decay may have moved frozen entries: only equal bits count as regenerated.
  const std::vector<float> base = regenerated(params, id);
  const auto values = params.weight(id);
  for (std::size_t i = 0; i < base.size(); ++i) {
    const bool frozen = !is_trained(spec) || train[i] == 0;
    const bool kept = by_value(spec, keep) ? values[i] != 0 : keep.empty() || keep[i] != 0;
    if (frozen && kept && same_bits(values[i], base[i])) ++count.untouched;
  }
  return count;
}

}  // namespace winnow
