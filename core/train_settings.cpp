#include "core/train_settings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "core/error.h"
#include "core/optimizers/optimizer_rule.h"

namespace winnow {

namespace {

using Kind = Setting::Kind;
constexpr double kMany = 1e12;

Schema basic_settings() {
  std::vector<std::string> names;
  for (const OptimizerRule& rule : optimizers()) names.emplace_back(rule.name);
  return {
      {.key = "epochs",
       .kind = Kind::Length,
       .fallback = "160ep",
       .range = Range{1, kMany},
       .unit = "epochs or steps",
       .meaning = "length of training: 160, 160ep or 30000it"},
      {.key = "batch",
       .kind = Kind::Int,
       .fallback = "128",
       .range = Range{1, 1e6},
       .unit = "examples",
       .meaning = "examples of one update, over all ranks; what is left of an epoch, an incomplete last batch, is "
                  "dropped"},
      {.key = "optimizer",
       .kind = Kind::Choice,
       .fallback = "sgd",
       .choices = names,
       .meaning =
           "update rule: sgd, adam and adamw as PyTorch defines them, adam_mini (AdamW with a second moment a row), "
           "sam (sharpness-aware) over sgd"},
      {.key = "lr",
       .kind = Kind::Real,
       .fallback = "0.1",
       .range = Range{0, kMany, true, false},
       .meaning = "learning rate before the schedule"},
  };
}

// Those of every optimiser, each read where one that declares it is chosen.
Schema optimizer_settings() {
  std::map<std::string, std::vector<std::string>> readers;
  Schema all;
  for (const OptimizerRule& rule : optimizers()) {
    for (const Setting& setting : rule.settings) {
      std::vector<std::string>& names = readers[setting.key];
      if (names.empty()) all.push_back(setting);
      names.emplace_back(rule.name);
    }
  }
  for (Setting& setting : all) {
    if (setting.read_when.empty()) setting.read_when.emplace_back();
    for (auto& conditions : setting.read_when) {
      conditions.insert(conditions.begin(), where("optimizer", readers[setting.key]));
    }
  }
  return all;
}

Schema other_settings() {
  return {
      {.key = "weight_decay",
       .kind = Kind::Real,
       .fallback = "0",
       .range = Range{0, kMany},
       .meaning = "decay, coupled for SGD and Adam, decoupled for AdamW and Adam-mini"},
      {.key = "decay_norm",
       .kind = Kind::Bool,
       .fallback = "true",
       .meaning = "weight decay also acts on biases and normalisation",
       .read_when = {{unless("weight_decay", {"0"})}}},
      {.key = "schedule.kind",
       .kind = Kind::Choice,
       .fallback = "constant",
       .choices = {"constant", "step", "multistep", "cosine"},
       .meaning = "learning-rate schedule"},
      {.key = "schedule.at",
       .kind = Kind::LengthList,
       .fallback = "[]",
       .range = Range{0, kMany},
       .unit = "epochs or steps",
       .meaning = "where the rate is multiplied by gamma",
       .is_set = true,
       .read_when = {{where("schedule.kind", {"multistep"})}},
       .span = Span{}},
      {.key = "schedule.every",
       .kind = Kind::Length,
       .fallback = "30ep",
       .range = Range{1, kMany},
       .unit = "epochs or steps",
       .meaning = "distance of two drops",
       .read_when = {{where("schedule.kind", {"step"})}},
       .span = Span{}},
      {.key = "schedule.gamma",
       .kind = Kind::Real,
       .fallback = "0.1",
       .range = Range{0, 1, true, false},
       .meaning = "factor of a drop",
       .read_when = {{where("schedule.kind", {"step", "multistep"})}}},
      {.key = "schedule.warmup",
       .kind = Kind::Length,
       .fallback = "0ep",
       .range = Range{0, kMany},
       .unit = "epochs or steps",
       .meaning = "linear warm-up from lr/steps to lr",
       .span = Span{}},
      {.key = "label_smoothing",
       .kind = Kind::Real,
       .fallback = "0",
       .range = Range{0, 1, false, true},
       .meaning = "share of the target spread over all classes"},
      {.key = "clip_norm",
       .kind = Kind::Real,
       .fallback = "0",
       .range = Range{0, kMany},
       .meaning = "largest gradient norm of an update; 0: no clipping"},
      {.key = "precision",
       .kind = Kind::Choice,
       .fallback = "auto",
       .choices = {"auto", "f32", "bf16"},
       .meaning = "compute type of activations; auto is bf16 on a GPU, and where the processor has bf16 instructions. "
                  "Weights, loss and statistics are f32 always"},
      {.key = "fuse_statistics",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning =
           "on a GPU: a convolution in front of a batch norm sums its output by channel while it writes it, where "
           "cuDNN has a way, so that the batch norm reads it once less. No part of a trial's identity: results "
           "say in their provenance for how many batch norms it was so"},
      {.key = "eval_every",
       .kind = Kind::Int,
       .fallback = "1",
       .range = Range{1, kMany},
       .unit = "epochs",
       .meaning = "distance of two evaluations; the last step is always evaluated"},
      {.key = "eval_batch",
       .kind = Kind::Int,
       .fallback = "200",
       .range = Range{1, 1e6},
       .unit = "examples",
       .meaning = "examples of one evaluation batch on one rank"},
  };
}

}  // namespace

const Schema& train_schema() {
  static const Schema schema = [] {
    Schema all = basic_settings();
    for (const Schema& more : {optimizer_settings(), other_settings()}) all.insert(all.end(), more.begin(), more.end());
    return all;
  }();
  return schema;
}

namespace {

// Where a bound of a span lies: a length, or a share of the steps.
std::int64_t bound_of(const Schema& schema, const std::string& key, const Settings& settings, const RunLength& length,
                      std::int64_t fallback) {
  if (key.empty()) return fallback;
  const Setting& setting = *find_setting(schema, key);
  if (setting.kind == Setting::Kind::Length) return length.resolve(settings.length(key));
  return static_cast<std::int64_t>(settings.real(key) * static_cast<double>(length.steps));
}

}  // namespace

std::vector<SettingProblem> idle_lengths(const Schema& schema, const Settings& settings, const RunLength& length) {
  std::vector<SettingProblem> found;
  for (const Setting& setting : schema) {
    if (!setting.span || !is_read(schema, setting, settings)) continue;
    const Span& span = *setting.span;
    const bool own_run = !span.until.empty() && find_setting(schema, span.until)->kind == Setting::Kind::Length;
    const std::int64_t run = own_run ? length.resolve(settings.length(span.until)) : length.steps;
    const std::int64_t end = run - (span.with_end ? 0 : 1);
    const std::int64_t from = bound_of(schema, span.from, settings, length, 0);
    const std::int64_t room = std::min(bound_of(schema, span.until, settings, length, end), end) - from;
    for (const Length& one : settings.lengths(setting.key)) {
      if (length.resolve(one) <= room) continue;
      std::string where = span.from.empty() ? "" : " after " + span.from;
      where += span.until.empty() ? " into the run" : " until " + span.until;
      found.push_back({setting.key, fmt::format("{}{} cannot act: of its {} steps at most {} fit{}", one.count,
                                                one.epochs ? "ep" : "it", length.resolve(one),
                                                std::max<std::int64_t>(room, 0), where)});
    }
  }
  return found;
}

RunLength run_length(const Settings& train, std::int64_t steps_per_epoch) {
  return {train.length("epochs").steps(steps_per_epoch), steps_per_epoch};
}

LearningRate::LearningRate(const Settings& train, const RunLength& length, const std::string& prefix)
    : base_(train.real("lr")),
      gamma_(train.real("schedule.gamma")),
      kind_(train.text("schedule.kind")),
      warmup_(length.resolve(train.length("schedule.warmup"))),
      total_(length.steps),
      every_(length.resolve(train.length("schedule.every"))) {
  for (const Length& at : train.lengths("schedule.at")) drops_.push_back(length.resolve(at));
  if (kind_ == "multistep" && drops_.empty()) {
    fail(ErrorKind::Settings, "{}schedule.at: a multistep schedule needs at least one place", prefix);
  }
  // 1ep and the steps of an epoch are one place: the rate would fall twice there.
  std::ranges::sort(drops_);
  if (const auto twice = std::ranges::adjacent_find(drops_); kind_ == "multistep" && twice != drops_.end()) {
    fail(ErrorKind::Settings, "{}schedule.at: two places are the same step, {}", prefix, *twice);
  }
}

double LearningRate::at(std::int64_t step) const {
  if (step < warmup_) return base_ * static_cast<double>(step + 1) / static_cast<double>(warmup_);
  if (kind_ == "multistep") {
    const auto drops = std::count_if(drops_.begin(), drops_.end(), [&](std::int64_t at) { return at <= step; });
    return base_ * std::pow(gamma_, static_cast<double>(drops));
  }
  if (kind_ == "step") {
    const std::int64_t drops = step / every_;
    return base_ * std::pow(gamma_, static_cast<double>(drops));
  }
  if (kind_ == "cosine") {
    const double share =
        static_cast<double>(step - warmup_) / static_cast<double>(std::max<std::int64_t>(total_ - warmup_, 1));
    return base_ * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(share, 1.0)));
  }
  return base_;
}

}  // namespace winnow
