#include "experiments/methods/toolkit/mask_at_init.h"

#include <cmath>

#include "core/error.h"
#include "experiments/methods/toolkit/redraw.h"

namespace winnow {

Schema ablation_schema() {
  using Kind = Setting::Kind;
  return {
      {.key = "shuffle",
       .kind = Kind::Choice,
       .fallback = "none",
       .choices = {"none", "layer", "global"},
       .meaning = "control: permute the chosen mask inside each layer (counts stay) or over all",
       .source = "Frankle et al. 2021, Su et al. 2020"},
      {.key = "invert",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "control: prune the best scores first; zero scores stay last",
       .source = "Frankle et al. 2021"},
  };
}

Setting reinit_setting() {
  return {.key = "reinit",
          .kind = Setting::Kind::Bool,
          .fallback = "false",
          .meaning = "control: keep the mask and draw new initial values of all parameters",
          .source = "Frankle et al. 2021; the official SNIP code does this"};
}

Schema scoring_schema(const std::string& norm, const std::string& norm_source) {
  using Kind = Setting::Kind;
  return {
      {.key = "batches",
       .kind = Kind::Int,
       .fallback = "1",
       .range = Range{1, 1e6},
       .unit = "batches",
       .meaning = "training batches that gradients are averaged over before the absolute value",
       .source = "1 in the paper"},
      {.key = "norm",
       .kind = Kind::Choice,
       .fallback = norm,
       .choices = {"running", "batch"},
       .meaning = "statistics of batch norm while scoring: running ones (mean 0, variance 1 at the "
                  "start) or those of the batch",
       .source = norm_source},
  };
}

void MaskAtInit::edit(GraphEditor& editor) {
  const std::string reinit = settings_.has("reinit") ? settings_.text("reinit") : "none";
  if (reinit != "none" && reinit != "false") refuse_redraw(editor.model(), "method.reinit");
}

Verdict MaskAtInit::on_event(const Moment& moment, TrainState& state) {
  if (moment.when != When::Begin || moment.phase != 0) {
    later(moment, state);
    return Verdict::Update;
  }
  const std::vector<PrunedTensor> tensors = candidates(state.params().specs());
  const DensityTarget target = density_target(settings_, tensors, scope_of(settings_));
  if (target.keeps_all(tensors)) return Verdict::Update;
  std::vector<Bits> masks = choose(state, tensors, target);
  const std::string& shuffled = settings_.has("shuffle") ? settings_.text("shuffle") : "none";
  if (shuffled == "global") shuffle(masks, state.rng("shuffle"));
  for (std::size_t t = 0; t < tensors.size() && shuffled == "layer"; ++t) {
    shuffle(masks[t], state.rng("shuffle/" + tensors[t].name));
  }
  reinitialise(state, tensors, masks);
  set_masks(state, tensors, masks, kind());
  after_masks(state, tensors);
  return Verdict::Update;
}

void MaskAtInit::forecast(MaskForecast& forecast, const Model& edited, const RunLength&) const {
  const std::vector<PrunedTensor> tensors = candidates(edited.params);
  const DensityTarget target = density_target(settings_, tensors, scope_of(settings_));
  if (target.keeps_all(tensors)) return;
  forecast.changes.push_back({.kind = kind(), .ones = expected_counts(target, tensors)});
  if (settings_.has("batches")) forecast.scoring_batches += settings_.integer("batches");
}

std::vector<Bits> MaskAtInit::choose(TrainState& state, const std::vector<PrunedTensor>& tensors,
                                     const DensityTarget& target) {
  std::vector<Scores> scores = score(state, tensors);
  for (std::size_t t = 0; t < scores.size() && inverted(); ++t) invert(scores[t]);
  return select(target, tensors, scores);
}

std::vector<Scores> MaskAtInit::score(TrainState&, const std::vector<PrunedTensor>&) {
  fail(ErrorKind::Internal, "a method that chooses by no score of its own must override choose()");
}

void MaskAtInit::reinitialise(TrainState& state, const std::vector<PrunedTensor>&, const std::vector<Bits>&) {
  if (settings_.has("reinit") && settings_.flag("reinit")) redraw_all(state);
}

std::vector<Scores> MaskAtInit::loss_saliencies(TrainState& state, const std::vector<PrunedTensor>& tensors) const {
  ProbeRequest request;
  request.batches = settings_.integer("batches");
  request.norm = settings_.text("norm") == "batch" ? NormStatistics::Batch : NormStatistics::Running;
  return saliencies(state, tensors, state.probe(request).grads);
}

std::vector<Scores> saliencies(TrainState& state, const std::vector<PrunedTensor>& tensors,
                               const std::vector<std::vector<float>>& grads) {
  std::vector<Scores> scores;
  for (const PrunedTensor& tensor : tensors) {
    const auto weights = state.params().weight(tensor.id);
    const std::vector<float>& grad = grads.at(static_cast<std::size_t>(tensor.id));
    if (grad.size() != weights.size()) {
      fail(ErrorKind::Internal, "no gradient of {} to score its weights with", tensor.name);
    }
    Scores& layer = scores.emplace_back(weights.size());
    for (std::size_t i = 0; i < layer.size(); ++i) layer[i] = std::fabs(weights[i] * grad[i]);
  }
  return scores;
}

}  // namespace winnow
