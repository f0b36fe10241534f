#include "experiments/run/trial_setup.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"
#include "core/touched.h"
#include "core/train_settings.h"
#include "experiments/data/registry.h"
#include "experiments/methods/compose.h"
#include "experiments/models/registry.h"

namespace winnow {

Settings train_settings(const TrialSpec& spec) { return spec.settings.below("train"); }

DataShape data_shape(const TrialSpec& spec) {
  return find_dataset(spec.settings.text("data.name")).shape(spec.settings.below("data"));
}

BuildModel model_builder(const TrialSpec& spec) {
  const ModelDef& def = find_model(spec.settings.text("model.name"));
  return [&def, settings = spec.settings.below("model"), shape = data_shape(spec)](std::int64_t batch, DType compute) {
    return def.build(settings, shape, batch, compute);
  };
}

std::unique_ptr<Method> trial_method(const TrialSpec& spec) { return make_method(spec.settings.below("method")); }

std::unique_ptr<Dataset> open_data(const TrialSpec& spec) {
  return find_dataset(spec.settings.text("data.name")).open(spec.settings.below("data"));
}

bool depends_on_ranks(const TrialSpec& spec) {
  const Model model = model_builder(spec)(1, DType::F32);
  return std::ranges::any_of(model.graph.nodes(), [](const Node& node) { return find_op(node.op).mixes_examples; });
}

std::optional<SettingProblem> check_trial(const TrialSpec& spec) {
  const Settings train = train_settings(spec), method = spec.settings.below("method");
  std::string key = "model.name";
  try {
    Model model = model_builder(spec)(1, DType::F32);
    key = "method.name";
    const std::unique_ptr<Method> composed = make_method(method);
    const Model plain = model;
    GraphEditor editor(model, method.text("name"), train);
    composed->edit(editor);
    check_touches(composed->touches(), touched(plain, model), method.text("name"));
    key = "method.density";
    if (const auto problem = check_density(model, method)) return SettingProblem{key, *problem};
    key = "train.schedule.at";
    LearningRate(train, {1, 1});
  } catch (const Error& error) {
    return SettingProblem{key, error.what()};
  }
  const std::int64_t examples =
      find_dataset(spec.settings.text("data.name")).train_examples(spec.settings.below("data"));
  if (examples <= 0) return SettingProblem{"data.validation", "leaves no training example"};
  if (examples < train.integer("batch")) {
    return SettingProblem{"train.batch", fmt::format("a batch of {} is more than the {} training examples",
                                                     train.integer("batch"), examples)};
  }
  if (train.integer("batch") % spec.ranks != 0) {
    return SettingProblem{"train.batch", fmt::format("{} examples cannot be split evenly over {} ranks",
                                                     train.integer("batch"), spec.ranks)};
  }
  return std::nullopt;
}

}  // namespace winnow
