// What a rule that stops trials early made of a trial that had come to a rung. A plain value, for the journal of the run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>

namespace winnow {

struct RungDecision {
  std::size_t trial = 0;             // position in the sweep
  bool promoted = false;             // let past the rung; else it stays there
  std::int64_t rung = 0;             // epochs
  std::optional<double> value = {};  // of the metric there; nothing: not finite
  std::size_t of = 0;                // how many had come to the rung, or failed on their way, when that was decided
  std::optional<std::size_t> place = {};  // of one that was let past: 1 is the best of them
  std::optional<double> median = {};      // and what it was not to be worse than, under that rule
};

// Without the trial: {"rung": 2, "value": 0.8, "of": 9, "place": 1}; what there is not has no key, but for the value (null).
nlohmann::ordered_json fields_of(const RungDecision& decision);
// One that came from fields_of().
RungDecision decision_of(std::size_t trial, bool promoted, const nlohmann::json& fields);

}  // namespace winnow
