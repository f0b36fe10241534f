#include "experiments/run/trial_setup.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <unordered_set>

#include "core/error.h"
#include "core/op.h"
#include "core/touched.h"
#include "core/train_settings.h"
#include "experiments/methods/compose.h"
#include "experiments/methods/registry.h"
#include "experiments/models/registry.h"

namespace winnow {

TrialSetup::TrialSetup(const TrialSpec& spec)
    : settings_(spec.settings),
      train_(spec.settings.below("train")),
      data_(spec.settings.below("data")),
      data_set_(find_dataset(spec.settings.text("data.name"))) {
  const ModelDef& model = find_model(settings_.text("model.name"));
  build_ = [&model, settings = settings_.below("model"), shape = data_set_.shape(data_)](
               std::int64_t batch, DType compute) { return model.build(settings, shape, batch, compute); };
}

Model TrialSetup::edited(Method& method, Model dense) const {
  GraphEditor editor(dense, train_);
  method.edit(editor);
  return dense;
}

std::unique_ptr<Method> TrialSetup::method() const { return make_method(settings_.below("method")); }
std::unique_ptr<Dataset> TrialSetup::open_data() const { return data_set_.open(data_); }
std::int64_t TrialSetup::train_examples() const { return data_set_.train_examples(data_); }

RunLength TrialSetup::length() const {
  return run_length(train_, std::max<std::int64_t>(1, train_examples() / train_.integer("batch")));
}

bool depends_on_ranks(const TrialSpec& spec) {
  const Model model = TrialSetup(spec).dense();
  return std::ranges::any_of(model.graph.nodes(), [](const Node& node) { return find_op(node.op).mixes_examples; });
}

namespace {

// More take minutes to plan and longer than a lifetime to train.
constexpr std::int64_t kMostSteps = 1'000'000'000;

// A batch norm that sees one value a channel, by name: it gives back its shift whatever the image is.
std::optional<std::string> norm_over_one_value(const Model& model, std::int64_t rows) {
  for (const Node& node : model.graph.nodes()) {
    if (node.op != "batch_norm") continue;
    const Shape& of_one_example = model.graph.value(node.in[0]).shape;
    if (of_one_example.numel() / of_one_example[-1] * rows == 1) return node.name;
  }
  return std::nullopt;
}

std::optional<SettingProblem> check_batch(const TrialSetup& setup, int ranks, const Model& model) {
  const std::int64_t batch = setup.train().integer("batch"), examples = setup.train_examples();
  if (examples <= 0) return SettingProblem{"data.validation", "leaves no training example"};
  if (examples < batch) {
    return SettingProblem{"train.batch",
                          fmt::format("a batch of {} is more than the {} training examples", batch, examples)};
  }
  if (batch % ranks != 0) {
    return SettingProblem{"train.batch", fmt::format("{} examples cannot be split evenly over {} ranks", batch, ranks)};
  }
  if (const auto norm = norm_over_one_value(model, batch / ranks)) {
    return SettingProblem{"train.batch", fmt::format("{} gives batch norm '{}' one value a channel, so that its output "
                                                     "would not depend on the image; a rank needs at least 2 examples",
                                                     batch, *norm)};
  }
  return std::nullopt;
}

// `compares_touches`: also that the method does to the network what it says it does.
std::optional<SettingProblem> checked(const TrialSpec& spec, bool compares_touches) {
  const Settings method = spec.settings.below("method");
  std::string key = "model.name";
  try {
    const TrialSetup setup(spec);
    Model model = setup.dense();
    key = "method.name";
    const std::unique_ptr<Method> composed = setup.method();
    if (compares_touches) {
      check_touches(composed->touches(), touched_by(*composed, model, setup.train()), method.text("name"));
    }
    if (!compares_touches) {  // which edits for every use
      Model evaluated = model;
      GraphEditor editor(evaluated, setup.train(), Use::Evaluate);
      composed->edit(editor);
    }
    GraphEditor editor(model, setup.train());
    composed->edit(editor);
    key = "method.density";
    if (const auto problem = check_density(model, method)) return SettingProblem{key, *problem};
    if (const auto problem = check_batch(setup, spec.ranks, model)) return problem;
    const RunLength length = setup.length();
    if (length.steps > kMostSteps) {
      return SettingProblem{"train.epochs", fmt::format("is {} steps; {} at most", length.steps, kMostSteps)};
    }
    for (int phase = 0; composed->phase(phase, length); ++phase) {
    }
    key = "train.schedule.at";
    LearningRate(setup.train(), length);
  } catch (const Error& error) {
    return SettingProblem{key, error.what()};
  }
  return std::nullopt;
}

// Of lines "key=value", without values that are numbers.
std::string without_numbers(const std::string& lines) {
  std::string words;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size()), equals = std::min(lines.find('=', at), end);
    double number = 0;
    const char* const begin = lines.data() + std::min(equals + 1, end);
    const auto read = std::from_chars(begin, lines.data() + end, number);
    const bool is_number = read.ec == std::errc() && read.ptr == lines.data() + end;
    words.append(lines, at, (is_number ? equals : end) - at).append("\n");
    at = end + 1;
  }
  return words;
}

}  // namespace

std::optional<SettingProblem> check_trial(const TrialSpec& spec) { return checked(spec, true); }

std::function<std::optional<SettingProblem>(const TrialSpec&)> check_of_sweep() {
  using Keys = std::unordered_set<std::string>;
  return [passed = Keys(), compared = Keys()](const TrialSpec& spec) mutable -> std::optional<SettingProblem> {
    std::string key = cost_key(spec);
    if (passed.contains(key)) return std::nullopt;
    auto problem = checked(spec, compared.insert(without_numbers(key)).second);
    if (!problem) passed.insert(std::move(key));
    return problem;
  };
}

std::string cost_key(const TrialSpec& spec) {
  static constexpr std::string_view kRates[] = {"train.lr=", "train.momentum=", "train.weight_decay="};
  const std::string canonical = spec.canonical();
  std::string key;
  for (std::size_t at = 0; at < canonical.size();) {
    const std::size_t end = std::min(canonical.find('\n', at), canonical.size());
    const std::string_view line = std::string_view(canonical).substr(at, end - at);
    if (std::ranges::none_of(kRates, [&](std::string_view rate) { return line.starts_with(rate); })) {
      key.append(line).append("\n");
    }
    at = end + 1;
  }
  for (const char* name : {"save.metrics.every", "save.weights.form", "save.weights.when"}) {
    if (const std::string* text = spec.settings.find(name)) key.append(*text).append("\n");
  }
  return key + std::to_string(spec.ranks);
}

std::vector<SettingProblem> trial_remarks(const TrialSpec& spec) {
  const TrialSetup setup(spec);
  const RunLength length = setup.length();
  std::vector<SettingProblem> remarks;
  const auto add = [&](const Schema& schema, const Settings& settings, const std::string& prefix) {
    for (SettingProblem& idle : idle_lengths(schema, settings, length)) {
      remarks.push_back({prefix + idle.key, std::move(idle.text)});
    }
  };
  add(train_schema(), setup.train(), "train.");
  const std::vector<MethodPart> parts = method_parts(spec.settings.below("method"));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    add(find_method(parts[i].name).schema, parts[i].settings,
        i == 0 ? "method." : "method.with." + parts[i].name + ".");
  }
  const ModelDef& model = find_model(spec.settings.text("model.name"));
  if (model.caution) {
    if (auto caution = model.caution(setup.train())) remarks.push_back({"train.lr", std::move(*caution)});
  }
  return remarks;
}

}  // namespace winnow
