// How many entries of each parameter a network keeps and trains: read off a store, or foretold. Plain values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/param_store.h"

namespace winnow {

struct EntryCount {
  // Entries that no Keep mask sets to zero. A prunable tensor without such a mask keeps what is not zero: a method
  // may drive weights to exact zeros and name no mask.
  std::int64_t kept = 0;
  std::int64_t live = 0;       // that training may change: Keep and Trainable
  std::int64_t untouched = 0;  // kept and not trained, with the value that the parameter's seed regenerates
};
using EntryCounts = std::vector<EntryCount>;  // by ParamId

// Does training change the parameter at all?
bool is_trained(const ParamSpec& spec);

// kept and live of all parameters; untouched stays 0.
EntryCounts count_entries(const ParamStore& params);
// All three of one.
EntryCount count_entry(const ParamStore& params, ParamId id);

// The values that the seed of a parameter gives it.
std::vector<float> regenerated(const ParamStore& params, ParamId id);
bool same_bits(float a, float b);
std::int64_t count_nonzero(std::span<const float> values);

}  // namespace winnow
