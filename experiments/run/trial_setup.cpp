#include "experiments/run/trial_setup.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"
#include "core/touched.h"
#include "core/train_settings.h"
#include "experiments/data/registry.h"
#include "experiments/methods/compose.h"
#include "experiments/methods/registry.h"
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

namespace {

std::int64_t train_examples(const TrialSpec& spec) {
  return find_dataset(spec.settings.text("data.name")).train_examples(spec.settings.below("data"));
}

RunLength length_of(const TrialSpec& spec) {
  const Settings train = train_settings(spec);
  return run_length(train, std::max<std::int64_t>(1, train_examples(spec) / train.integer("batch")));
}

// A batch norm that sees one value a channel, by name: it gives back its shift whatever the image is.
std::optional<std::string> norm_over_one_value(const Model& model, std::int64_t rows) {
  for (const Node& node : model.graph.nodes()) {
    if (node.op != "batch_norm") continue;
    const Shape& of_one_example = model.graph.value(node.in[0]).shape;
    if (of_one_example.numel() / of_one_example[-1] * rows == 1) return node.name;
  }
  return std::nullopt;
}

std::optional<SettingProblem> check_batch(const TrialSpec& spec, const Model& model) {
  const std::int64_t batch = spec.settings.integer("train.batch"), examples = train_examples(spec);
  if (examples <= 0) return SettingProblem{"data.validation", "leaves no training example"};
  if (examples < batch) {
    return SettingProblem{"train.batch",
                          fmt::format("a batch of {} is more than the {} training examples", batch, examples)};
  }
  if (batch % spec.ranks != 0) {
    return SettingProblem{"train.batch",
                          fmt::format("{} examples cannot be split evenly over {} ranks", batch, spec.ranks)};
  }
  if (const auto norm = norm_over_one_value(model, batch / spec.ranks)) {
    return SettingProblem{"train.batch", fmt::format("{} gives batch norm '{}' one value a channel, so that its output "
                                                     "would not depend on the image; a rank needs at least 2 examples",
                                                     batch, *norm)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<SettingProblem> check_trial(const TrialSpec& spec) {
  const Settings train = train_settings(spec), method = spec.settings.below("method");
  std::string key = "model.name";
  try {
    Model model = model_builder(spec)(1, DType::F32);
    key = "method.name";
    const std::unique_ptr<Method> composed = make_method(method);
    const Model plain = model;
    GraphEditor editor(model, train);
    composed->edit(editor);
    check_touches(composed->touches(), touched(plain, model), method.text("name"));
    key = "method.density";
    if (const auto problem = check_density(model, method)) return SettingProblem{key, *problem};
    if (const auto problem = check_batch(spec, model)) return problem;
    const RunLength length = length_of(spec);
    for (int phase = 0; composed->phase(phase, length); ++phase) {
    }
    key = "train.schedule.at";
    LearningRate(train, length);
  } catch (const Error& error) {
    return SettingProblem{key, error.what()};
  }
  return std::nullopt;
}

std::vector<SettingProblem> trial_remarks(const TrialSpec& spec) {
  const RunLength length = length_of(spec);
  std::vector<SettingProblem> remarks;
  const auto add = [&](const Schema& schema, const Settings& settings, const std::string& prefix) {
    for (SettingProblem& idle : idle_lengths(schema, settings, length)) {
      remarks.push_back({prefix + idle.key, std::move(idle.text)});
    }
  };
  const Settings train = train_settings(spec);
  add(train_schema(), train, "train.");
  const std::vector<MethodPart> parts = method_parts(spec.settings.below("method"));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    add(find_method(parts[i].name).schema, parts[i].settings,
        i == 0 ? "method." : "method.with." + parts[i].name + ".");
  }
  const ModelDef& model = find_model(spec.settings.text("model.name"));
  if (model.caution) {
    if (auto caution = model.caution(train)) remarks.push_back({"train.lr", std::move(*caution)});
  }
  return remarks;
}

}  // namespace winnow
