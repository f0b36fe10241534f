// What SET and RigL share: a random start mask, then updates in which each layer drops and grows
// the same number of weights. One object per trial and rank; not synchronised.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/method.h"
#include "experiments/methods/toolkit/mask_tools.h"

namespace winnow {

class DynamicSparse : public Method {
 public:
  Touches touches() const override { return {.masks = true}; }
  // The start mask: every update leaves the counts as they are.
  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override;
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 protected:
  explicit DynamicSparse(Settings settings) : settings_(std::move(settings)) {}

  const Settings& settings() const { return settings_; }
  // Draws the start mask. A density that keeps everything leaves nothing to do, now and later.
  void start(TrainState& state);
  bool active() const { return active_; }
  std::int64_t last_update() const { return last_update_; }

  // What enters first: one score for each entry.
  using Growth = std::function<Scores(const PrunedTensor&)>;
  // What stays of the active entries.
  using Drop = std::function<Bits(const PrunedTensor&, const Bits& mask)>;
  // One update of every layer that is trained at the present step; as many entries grow as `drop` takes.
  void update(TrainState& state, const Growth& growth, const Drop& drop);

 private:
  Settings settings_;
  bool active_ = true;
  std::int64_t last_update_ = -1;  // the step of the last update; none yet
};

}  // namespace winnow
