// A ticket on other weights: the mask that another trial of the sweep ended with, on new initial weights, on those that
// the other trial began with, or on those it ended with.
#include <algorithm>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "experiments/methods/toolkit/mask_tools.h"

namespace winnow {
namespace {

class Ticket final : public Method {
 public:
  explicit Ticket(const Settings& settings) : weights_(settings.text("weights")) {}

  Touches touches() const override { return {.masks = true}; }

  void take(const Needed& needed) override { needed_ = &needed; }

  void edit(GraphEditor& editor) override {
    for (const ParamSpec& spec : editor.model().params) {
      if (!spec.derived || spec.retired) continue;
      fail(ErrorKind::Settings,
           "ticket: '{}' is computed from other parameters by the method beside it, which a mask of '{}' does not fit; "
           "leave out one of them",
           spec.name, spec.name);
    }
    if (needed_ == nullptr) return;
    for (const PrunedTensor& tensor : pruned_tensors(editor.model().params)) find(tensor.name, {tensor.numel});
    if (weights_ == "rewind") draw_as_other(editor.model());
  }

  void forecast(MaskForecast& forecast, const Model&, const RunLength&) const override {
    forecast.upper_bound = true;  // how much the other trial kept is in its result
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when != When::Begin || moment.phase != 0) return Verdict::Update;
    if (needed_ == nullptr) fail(ErrorKind::Internal, "ticket: the other trial is not known");
    ParamStore& params = state.params();
    for (std::size_t p = 0; p < params.size(); ++p) {
      const ParamSpec& spec = params.specs()[p];
      if (spec.retired) continue;
      if (weights_ == "rewind") params.redraw(ParamId(p), *needed_->init_seed);
      if (weights_ == "end") std::ranges::copy(find(spec.name, spec.shape).values, params.change(ParamId(p)).begin());
    }
    if (weights_ == "end") {
      for (std::size_t b = 0; b < params.buffer_count(); ++b) {
        const BufferSpec& spec = params.buffer_specs()[b];
        std::ranges::copy(find(spec.name, spec.shape).values, params.change_buffer(b).begin());
      }
    }
    std::vector<PrunedTensor> tensors = pruned_tensors(state);
    std::vector<Bits> masks;
    for (const PrunedTensor& tensor : tensors) {
      const NeededTensor& other = find(tensor.name, {tensor.numel});
      masks.push_back(other.keep.empty() ? Bits(other.values.size(), 1) : Bits(other.keep.begin(), other.keep.end()));
    }
    set_masks(state, tensors, masks, MaskKind::Keep);
    return Verdict::Update;
  }

 private:
  // Initial values are drawn from the distributions of the other trial's model.
  void draw_as_other(Model& model) const {
    if (!needed_->init_seed) {
      fail(ErrorKind::Settings, "ticket: {} began with the weights of a file; weights: rewind cannot draw them again",
           needed_->trial);
    }
    const Model other = needed_->build(1, DType::F32);
    for (ParamSpec& spec : model.params) {
      const auto drawn = std::ranges::find(other.params, spec.name, &ParamSpec::name);
      if (drawn != other.params.end()) spec.init = drawn->init;
    }
  }

  const NeededTensor& find(const std::string& name, const Shape& shape) const {
    const auto found = std::ranges::find(needed_->tensors, name, &NeededTensor::name);
    if (found == needed_->tensors.end() || found->shape.numel() != shape.numel()) {
      fail(ErrorKind::Settings, "ticket: {} has no tensor '{}' of {} values, so its mask does not fit this model",
           needed_->trial, name, shape.numel());
    }
    return *found;
  }

  std::string weights_;
  const Needed* needed_ = nullptr;
};

}  // namespace

MethodDef ticket() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "ticket";
  def.meaning = "trains with the mask that another trial of the sweep ended with, on weights of choice";
  def.source = "Frankle and Carbin 2019; Malach et al. 2020; Frankle et al. 2021 (controls)";
  def.schema = {
      {.key = "of",
       .kind = Kind::Trial,
       .fallback = std::nullopt,
       .meaning = "the trial whose mask is taken: its label, or the name of its method",
       .source = "Frankle and Carbin 2019"},
      {.key = "weights",
       .kind = Kind::Choice,
       .fallback = "new",
       .choices = {"new", "rewind", "end"},
       .meaning = "start values: drawn anew; those that the other trial began with; those that it ended with",
       .source = "rewind: Frankle and Carbin 2019; new: its control; end: fine-tuning"},
  };
  const ReadWhen of_other = {{where("method.weights", {"rewind", "end"})}};
  def.overrides = {{"model.init", of_other}, {"model.bn_scale", of_other}, {"init.from", of_other}};
  def.make = [](const Settings& s) { return std::make_unique<Ticket>(s); };
  def.example = {.settings = {{"of", "dense"}}};
  return def;
}

}  // namespace winnow
