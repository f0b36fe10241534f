// Iterative magnitude pruning: train, prune a share of the surviving weights by magnitude, go back,
// train again. Each level is a phase of the trial.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/mask_tools.h"
#include "experiments/methods/toolkit/redraw.h"

namespace winnow {
namespace {

enum class Back : std::uint8_t { Weights, LearningRate, FineTune };

Back back_of(const std::string& name) {
  return name == "weights" ? Back::Weights : name == "learning_rate" ? Back::LearningRate : Back::FineTune;
}

double density_after(std::int64_t levels, double rate) { return std::pow(1 - rate, static_cast<double>(levels)); }

class IterativeMagnitude final : public Method {
 public:
  explicit IterativeMagnitude(const Settings& settings)
      : density_(settings.real("density")),
        rate_(settings.real("rate")),
        levels_(settings.integer("levels")),
        exact_(levels_ == 0),
        rewind_to_(settings.length("rewind_to")),
        fine_tune_(settings.length("fine_tune")),
        back_(back_of(settings.text("back"))),
        control_(settings.text("control")),
        ignored_(settings.texts("ignored")) {
    // The allowance is for rounding: three levels of 20 % are a density of 0.512.
    if (exact_ && density_ < 1) {
      levels_ = static_cast<std::int64_t>(std::ceil(std::log(density_) / std::log1p(-rate_) - 1e-9));
    }
    const double reached = density_after(levels_, rate_);
    if (!exact_ && std::abs(density_ - reached) > 1e-3 * reached) {
      fail(ErrorKind::Settings,
           "method.density: {} is not what method.levels {} of method.rate {} lead to, which is "
           "{:.6g}; give density or levels",
           density_, levels_, rate_, reached);
    }
    if (shuffles() && back_ != Back::Weights) {
      fail(ErrorKind::Settings,
           "method.control: {} needs method.back weights: the weights at the places it moves to are "
           "known only where training goes back to earlier weights",
           control_);
    }
  }

  Touches touches() const override { return {.masks = true, .phases = true}; }

  // Only to find out when a trial is planned that it cannot be pruned as its settings say.
  void edit(GraphEditor& editor) override {
    if (control_ == "reinitialise") refuse_redraw(editor.model(), "method.control");
    const std::vector<PrunedTensor> tensors = pruned_tensors(editor.model().params);
    candidates(tensors);
    if (exact_) last_count(tensors);
  }

  std::optional<Phase> phase(int index, const RunLength& length) const override {
    if (index > levels_) return std::nullopt;
    const std::int64_t end = length.steps;
    if (index == 0) {
      Phase dense{.name = "dense", .last_step = end};
      if (back_ == Back::Weights && levels_ > 0) dense.snapshot = rewind_step(length);
      return dense;
    }
    const std::int64_t first =
        back_ == Back::FineTune ? std::max<std::int64_t>(end - length.resolve(fine_tune_), 0) : rewind_step(length);
    return Phase{.name = fmt::format("level{}", index),
                 .start = back_ == Back::Weights ? Phase::Start::Rewind : Phase::Start::Continue,
                 .first_step = first,
                 .last_step = end};
  }

  void schedule(EventPlan& plan, const RunLength& length) const override {
    const std::int64_t at = rewind_step(length);
    if (shuffles() && at > 0) plan.after_step.at(at);
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    const bool last = moment.phase > 0 && moment.phase == levels_;
    if (moment.when == When::PhaseEnd && moment.phase < levels_) prune(moment.phase + 1, state);
    if (moment.when == When::Begin && last) take_control(state);
    const bool at_rewind_step = moment.step == rewind_step(state.length());
    if (moment.phase == 0 && at_rewind_step && shuffles() && levels_ > 0) remember(state);
    return Verdict::Update;
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    const std::vector<PrunedTensor> tensors = pruned_tensors(edited.params);
    const std::vector<PrunedTensor> losing = candidates(tensors);
    std::int64_t alive = 0, at_stake = 0;
    std::vector<std::int64_t> kept;
    for (const PrunedTensor& tensor : tensors) alive += tensor.numel;
    for (const PrunedTensor& tensor : losing) {
      kept.push_back(tensor.numel);
      at_stake += tensor.numel;
    }
    for (std::int64_t level = 1; level <= levels_; ++level) {
      const std::int64_t lost = lost_at(level, alive, at_stake, tensors);
      alive -= lost;
      at_stake -= lost;
      kept = in_proportion(at_stake, kept);
      MaskForecast::Change change{.phase = static_cast<int>(level) - 1, .step = length.steps, .ones = {}};
      for (std::size_t t = 0; t < losing.size(); ++t) change.ones.emplace_back(losing[t].id, kept[t]);
      forecast.changes.push_back(std::move(change));
    }
  }

  void save(StateWriter& out) const override {
    out.put_value("imp/remembered", static_cast<std::int64_t>(remembered_.size()));
    for (std::size_t t = 0; t < remembered_.size(); ++t) {
      out.put_values<float>("imp/remembered/" + std::to_string(t), remembered_[t]);
    }
  }
  void load(StateReader& in) override {
    remembered_.resize(static_cast<std::size_t>(in.get_value<std::int64_t>("imp/remembered")));
    for (std::size_t t = 0; t < remembered_.size(); ++t) {
      remembered_[t] = in.get_list<float>("imp/remembered/" + std::to_string(t));
    }
  }

  void report(TrainState&, Facts& facts) const override { facts["method.levels"] = static_cast<double>(levels_); }

 private:
  bool shuffles() const { return control_ == "shuffle_layer" || control_ == "shuffle_global"; }
  std::int64_t rewind_step(const RunLength& length) const {
    return std::min(length.resolve(rewind_to_), length.steps - 1);
  }

  // The tensors that lose weights; an ignored name that matches none is a mistake.
  std::vector<PrunedTensor> candidates(const std::vector<PrunedTensor>& tensors) const {
    std::vector<PrunedTensor> found = tensors;
    for (const std::string& name : ignored_) {
      const auto named = [&](const PrunedTensor& t) { return t.name == name || t.layer == name; };
      if (name == "last") {
        std::erase_if(found, [&](const PrunedTensor& t) { return t.id == tensors.back().id; });
      } else if (std::ranges::any_of(tensors, named)) {
        std::erase_if(found, named);
      } else {
        fail(ErrorKind::Settings, "method.ignored: no prunable layer '{}'", name);
      }
    }
    return found;
  }

  // Entries that stay in the end, of all tensors together.
  std::int64_t last_count(const std::vector<PrunedTensor>& tensors) const {
    DensityTarget target;
    target.sparsity.resize(tensors.size());
    target.shared = sparsity_of(density_);
    return target.counts(tensors).shared;
  }

  // What a level takes of the `alive` entries of all tensors, of which `at_stake` may be lost.
  std::int64_t lost_at(std::int64_t level, std::int64_t alive, std::int64_t at_stake,
                       const std::vector<PrunedTensor>& tensors) const {
    auto lost = static_cast<std::int64_t>(std::ceil(rate_ * static_cast<double>(alive)));
    if (exact_ && level == levels_) lost = std::max<std::int64_t>(alive - last_count(tensors), 0);
    return std::min(lost, at_stake);
  }

  // The share is of the survivors of all tensors, ignored ones included.
  void prune(std::int64_t level, TrainState& state) {
    const std::vector<PrunedTensor> tensors = pruned_tensors(state);
    const std::vector<PrunedTensor> losing = candidates(tensors);
    const ParamStore& params = state.params();
    std::int64_t alive = 0, at_stake = 0;
    for (const PrunedTensor& tensor : tensors) alive += params.count(tensor.id, MaskKind::Keep);
    for (const PrunedTensor& tensor : losing) at_stake += params.count(tensor.id, MaskKind::Keep);
    const std::int64_t lost = lost_at(level, alive, at_stake, tensors);
    std::vector<Scores> scores = magnitudes(state, losing);
    std::vector<std::string> names;
    for (std::size_t t = 0; t < losing.size(); ++t) {
      const auto keep = params.mask(losing[t].id, MaskKind::Keep);
      // A pruned weight stays pruned, also next to a survivor that happens to be 0.
      for (std::size_t i = 0; i < keep.size(); ++i) {
        if (keep[i] == 0) scores[t][i] = -1;
      }
      names.push_back(losing[t].name);
    }
    set_masks(state, losing, top_k(scores, at_stake - lost, names), MaskKind::Keep);
    state.log("prune_level", "", static_cast<double>(alive - lost));
  }

  void remember(TrainState& state) {
    remembered_.clear();
    for (const PrunedTensor& tensor : pruned_tensors(state)) {
      const auto weight = state.params().weight(tensor.id);
      remembered_.emplace_back(weight.begin(), weight.end());
    }
  }

  // A control trains the last level with new weights, or with the mask's bits at other places.
  void take_control(TrainState& state) {
    if (control_ == "reinitialise") redraw_all(state);
    if (!shuffles()) return;
    const std::vector<PrunedTensor> tensors = pruned_tensors(state);
    const std::vector<PrunedTensor> moving = candidates(tensors);
    std::vector<Bits> masks;
    for (const PrunedTensor& tensor : moving) {
      masks.push_back(mask_bits(state.params(), tensor, MaskKind::Keep));
      if (control_ == "shuffle_layer") {
        shuffle(masks.back(), state.rng("imp/shuffle/" + tensor.name));
      }
    }
    if (control_ == "shuffle_global") shuffle(masks, state.rng("imp/shuffle"));
    set_masks(state, moving, masks, MaskKind::Keep);
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const auto weight = state.params().change(tensors[t].id);
      const Bits keep = mask_bits(state.params(), tensors[t], MaskKind::Keep);
      for (std::size_t i = 0; i < weight.size(); ++i) {
        weight[i] = keep[i] != 0 ? remembered_.at(t)[i] : 0.0f;
      }
    }
  }

  double density_, rate_;
  std::int64_t levels_;
  bool exact_;  // the last level prunes to `density`; otherwise every level takes the same share
  Length rewind_to_, fine_tune_;
  Back back_;
  std::string control_;
  std::vector<std::string> ignored_;
  std::vector<Scores> remembered_;  // prunable weights at the rewind step, for the shuffling controls
};

}  // namespace

MethodDef imp() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "imp";
  def.meaning =
      "iterative magnitude pruning (lottery tickets): train, prune, go back, train again; a rate "
      "of "
      "1 - density with back: nothing is one-shot pruning of the trained network and fine-tuning";
  def.source = "Frankle et al. 2020, facebookresearch/open_lth; Renda et al. 2020";
  def.schema = {
      {.key = "density",
       .kind = Kind::Real,
       .fallback = "0.2",
       .range = Range{0, 1, true},
       .unit = "share",
       .meaning = "share of the prunable weights that is kept after the last level; with `levels` "
                  "it is (1 - rate)^levels",
       .source = "ours: one name for all methods",
       .derive =
           [](const Settings& s) {
             const std::int64_t levels = s.integer("levels");
             return levels == 0 ? "" : fmt::format("{:.6g}", density_after(levels, s.real("rate")));
           }},
      {.key = "levels",
       .kind = Kind::Int,
       .fallback = "0",
       .range = Range{0, 100},
       .meaning = "number of prunings, each of `rate`; 0: as many as `density` needs",
       .source = "open_lth"},
      {.key = "rate",
       .kind = Kind::Real,
       .fallback = "0.2",
       .range = Range{0, 1, true, true},
       .unit = "share",
       .meaning = "share of the survivors that a level prunes, rounded up",
       .source = "open_lth"},
      {.key = "back",
       .kind = Kind::Choice,
       .fallback = "weights",
       .choices = {"weights", "learning_rate", "nothing"},
       .meaning = "weights: weights and schedule go back; learning_rate: only the schedule; nothing: "
                  "fine-tuning with the end of the schedule",
       .source = "Renda et al. 2020"},
      {.key = "rewind_to",
       .kind = Kind::Length,
       .fallback = "0ep",
       .range = Range{0, 1e12},
       .unit = "epochs or steps",
       .meaning = "where training goes back to; 0 is the original lottery ticket",
       .source = "Frankle et al. 2020: 500 to 2000 steps for CIFAR",
       .read_when = {{where("back", {"weights", "learning_rate"})}},
       .span = Span{}},
      {.key = "fine_tune",
       .kind = Kind::Length,
       .fallback = "40ep",
       .range = Range{1, 1e12},
       .unit = "epochs or steps",
       .meaning = "length of a level with back: nothing; its schedule is that of the last steps",
       .source = "ours: a quarter of 160 epochs",
       .read_when = {{where("back", {"nothing"})}},
       .span = Span{.with_end = true}},
      {.key = "ignored",
       .kind = Kind::TextList,
       .fallback = "[]",
       .meaning = "layers that are never pruned but are counted: last, or names such as fc",
       .source = "open_lth (LeNet and VGG: fc.weight)",
       .is_set = true},
      {.key = "control",
       .kind = Kind::Choice,
       .fallback = "none",
       .choices = {"none", "reinitialise", "shuffle_layer", "shuffle_global"},
       .meaning = "control: train the last level with newly drawn weights, or with the mask permuted "
                  "inside each layer or over all",
       .source = "open_lth"},
  };
  def.make = [](const Settings& s) { return std::make_unique<IterativeMagnitude>(s); };
  def.example = {.settings = {{"rate", "0.6"}}};
  return def;
}

}  // namespace winnow
