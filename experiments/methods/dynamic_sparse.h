// What SET and RigL share: a random start mask, then updates in which each layer drops and grows
// the same number of weights. One object per trial and rank; not synchronised.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/method.h"
#include "experiments/methods/mask_tools.h"

namespace winnow {

class DynamicSparse : public Method {
 public:
  Touches touches() const override { return {.masks = true}; }
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 protected:
  explicit DynamicSparse(Settings settings) : settings_(std::move(settings)) {}

  const Settings& settings() const { return settings_; }
  // Draws the start mask. A density that keeps everything leaves nothing to do, now and later.
  void start(TrainState& state);
  bool active() const { return active_; }
  std::int64_t last_update() const { return last_update_; }

  // One update at the present step; `count` gives the number to drop and grow from the number of
  // active entries.
  template <class Growth, class Count>
  void update(TrainState& state, Growth growth, Count count) {
    last_update_ = state.step();
    for (const PrunedTensor& tensor : pruned_tensors(state)) {
      exchange(state, tensor, growth(tensor), count);
    }
  }

 private:
  void exchange(TrainState& state, const PrunedTensor& tensor, const Scores& growth,
                const std::function<std::int64_t(std::int64_t active)>& count);

  Settings settings_;
  bool active_ = true;
  std::int64_t last_update_ = -1;  // the step of the last update; none yet
};

}  // namespace winnow
