// Methods that choose a mask once, before training: what they share is the moment, the ablations
// and what is kept with the trial. A method supplies the choice. One object per trial and rank; not synchronised.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/method.h"
#include "experiments/methods/toolkit/mask_tools.h"

namespace winnow {

// `shuffle`, `invert`: controls that separate a method's choice of weights from its layer densities.
Schema ablation_schema();
Setting reinit_setting();
// `batches`, `norm`: how a method that scores by the gradient of the loss takes it.
Schema scoring_schema(const std::string& norm, const std::string& norm_source);

class MaskAtInit : public Method {
 public:
  Touches touches() const override { return {.masks = true}; }
  void edit(GraphEditor& editor) override;
  Verdict on_event(const Moment& moment, TrainState& state) final;
  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override;

 protected:
  explicit MaskAtInit(Settings settings) : settings_(std::move(settings)) {}

  const Settings& settings() const { return settings_; }
  // Scores of the tensors; the entries with the largest are kept. Of methods that do not choose in their own way.
  virtual std::vector<Scores> score(TrainState& state, const std::vector<PrunedTensor>& tensors);
  // One selection from score(), unless a method selects in rounds.
  virtual std::vector<Bits> choose(TrainState& state, const std::vector<PrunedTensor>& tensors,
                                   const DensityTarget& target);
  // What the method may choose from: the prunable set.
  virtual std::vector<PrunedTensor> candidates(std::span<const ParamSpec> params) const {
    return pruned_tensors(params);
  }
  // Draws new initial values once the masks are known and not yet set.
  virtual void reinitialise(TrainState& state, const std::vector<PrunedTensor>& tensors,
                            const std::vector<Bits>& masks);
  virtual MaskKind kind() const { return MaskKind::Keep; }
  virtual void after_masks(TrainState&, const std::vector<PrunedTensor>&) {}
  // Moments other than the choice.
  virtual void later(const Moment&, TrainState&) {}

  // |weight * gradient of the loss| under the settings of scoring_schema().
  std::vector<Scores> loss_saliencies(TrainState& state, const std::vector<PrunedTensor>& tensors) const;
  // Are the best scores pruned first?
  bool inverted() const { return settings_.has("invert") && settings_.flag("invert"); }

 private:
  Settings settings_;
};

// |weight * gradient| of each tensor; `grads` by ParamId.
std::vector<Scores> saliencies(TrainState& state, const std::vector<PrunedTensor>& tensors,
                               const std::vector<std::vector<float>>& grads);

}  // namespace winnow
