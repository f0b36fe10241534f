// At which steps a method acts, as data: what one trial does can be listed, compared with another
// and printed. Plain values.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace winnow {

enum class ParamId : std::uint32_t;  // core/model.h

// The steps from, from + every, ..., up to and with `until`.
struct StepRule {
  static constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();  // as long as training goes on
  std::int64_t from = 0, until = kEnd, every = 1;
  bool contains(std::int64_t step) const { return step >= from && step <= until && (step - from) % every == 0; }
  auto operator<=>(const StepRule&) const =
      default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 takes the 0 of a comparison for a pointer
};

// The union of rules. Rules that name the same steps are equal, and rules are kept in order, so that sets compare.
class StepSet {
 public:
  void at(std::int64_t step) { add({step, step, 1}); }
  void every(std::int64_t every, std::int64_t from = 0, std::int64_t until = StepRule::kEnd) {
    add({from, until, every});
  }
  void always() { add(StepRule{}); }
  void add(StepRule rule);  // one without a step adds nothing
  void add(const StepSet& other);

  bool contains(std::int64_t step) const;
  // The first step after this one that differs from it in being named; kEnd: there is none.
  std::int64_t next_change(std::int64_t step) const;
  bool empty() const { return rules_.empty(); }
  const std::vector<StepRule>& rules() const { return rules_; }
  std::string text() const;  // "step 20", "every 100 steps from 0 to 700"; several joined by ", "
  bool operator==(const StepSet&) const = default;

 private:
  std::vector<StepRule> rules_;
};

// Declared before training, so that the trainer knows at which steps gradients must be dense and all
// ranks agree. The first two are asked by the number of updates applied so far, after_step by the
// number with the one just made.
struct EventPlan {
  StepSet after_backward;
  // At these steps the gradients of pruned entries are computed and reduced too (growth by
  // gradient); not for a second batch at the same step, after one that was used up without an update.
  StepSet dense_gradients;
  StepSet after_step;
  // Steps at which a parameter rests: it has no gradient and no update, keeps its optimiser's state, and the reverse pass
  // runs without what only it needs. A normalisation whose parameters all rest uses its running statistics. Asked by the
  // number of updates applied so far. Training parameters in turn is two of these.
  std::map<ParamId, StepSet> resting;
  std::vector<ParamId> resting_at(std::int64_t step) const;   // in their order
  std::int64_t next_resting_change(std::int64_t step) const;  // the first later step of another set, or kEnd
  void add(const EventPlan& other);
  bool operator==(const EventPlan&) const = default;
};

}  // namespace winnow
