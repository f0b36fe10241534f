// What a method puts in the place of a setting of the model or of training it declares (Component::overrides), and nothing
// else: such a setting is no part of a trial's identity, so two values of it must be one experiment, and any other setting
// that changes the dense network must change the method's.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "core/optimizer.h"
#include "experiments/sweep/resolver.h"
#include "tests/methods/trial_tools.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::Pairs;
using test::SmallTrial;

constexpr const char* kStartFile = "init.from";

// Settings of a trial with full keys; what is not given has its default.
struct Configuration {
  const MethodDef* def;
  Pairs settings = {};

  Pairs below(const std::string& prefix) const {
    Pairs found;
    for (const auto& [key, text] : settings) {
      if (key.starts_with(prefix)) found.emplace_back(key.substr(prefix.size()), text);
    }
    return found;
  }
  Configuration with(const std::string& key, const std::string& text) const {
    Configuration more = *this;
    std::erase_if(more.settings, [&key = key](const auto& each) { return each.first == key; });
    more.settings.emplace_back(key, text);
    return more;
  }
  bool has(const std::string& key) const {
    return std::ranges::find(settings, key, &Pairs::value_type::first) != settings.end();
  }
  const std::string& model() const { return def->example.model; }
  int side() const { return model() == "lenet300" ? 28 : 16; }
};

Configuration example_of(const MethodDef& def) {
  Configuration example{&def};
  for (const auto& [key, text] : def.example.settings) example.settings.emplace_back("method." + key, text);
  if (find_setting(def.schema, "density") != nullptr) example.settings.emplace_back("method.density", "0.5");
  return example;
}

Pairs images(const Configuration& of) {
  const std::string side = std::to_string(of.side());
  return {{"height", side}, {"width", side}, {"channels", "3"}};
}

// The weights of the dense network after initialisation with another seed than the trial's.
std::map<std::string, std::vector<float>> start_file(const Configuration& of) {
  SmallTrial dense(of.model(), {{"name", "dense"}}, {}, images(of));
  Trainer trainer = dense.make();
  trainer.start_phase(0);
  trainer.params().initialise(99);
  std::map<std::string, std::vector<float>> values;
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    const auto weight = trainer.params().weight(ParamId(p));
    values[trainer.params().specs()[p].name].assign(weight.begin(), weight.end());
  }
  return values;
}

// All values after three steps. What other trials left is the same for all configurations.
std::vector<float> trained(const Configuration& of) {
  Pairs method = of.below("method.");
  method.insert(method.begin(), {"name", of.def->name});
  SmallTrial trial(of.model(), method, of.below("train."), images(of), of.below("model."));
  const SmallTrial plain(of.model(), method, {}, images(of));
  std::vector<Needed> needed;
  for (const Setting& setting : of.def->schema) {
    if (setting.kind != Setting::Kind::Trial) continue;
    needed.push_back(test::sample_needed(plain.build(), of.def->name, setting.key, of.def->name == "ticket"));
  }
  for (const Needed& each : needed) trial.method().take(each);
  if (of.has(kStartFile)) trial.start = start_file(of);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (int step = 0; step < 3; ++step) trainer.train_step();
  return test::all_weights(trainer);
}

bool in_identity(const Configuration& of, const std::string& key) {
  std::string method = "{name: " + of.def->name, train = "batch: 32", more = "  model: {name: " + of.model();
  for (const auto& [name, text] : of.below("method.")) method += ", " + name + ": " + text;
  for (const auto& [name, text] : of.below("train.")) train += ", " + name + ": " + text;
  for (const auto& [name, text] : of.below("model.")) more += ", " + name + ": " + text;
  const std::string text = "sweep: t\ntrial:\n  data: {name: synthetic, height: " + std::to_string(of.side()) +
                           ", width: " + std::to_string(of.side()) + "}\n" + more + "}\n  train: {" + train +
                           "}\n  method: " + method + "}\n";
  const auto path = std::filesystem::path(testing::TempDir()) / ("override-" + std::to_string(getpid()) + ".yaml");
  std::ofstream(path) << text;
  const Sweep sweep = load_sweep(path, catalog(), {});
  std::filesystem::remove(path);
  return sweep.trials.at(0).identity.has(key);
}

// Another value than the default's.
std::string other_value(const Setting& setting) {
  using Kind = Setting::Kind;
  const std::string of_biases_too = "torch_default";
  if (std::ranges::find(setting.choices, of_biases_too) != setting.choices.end()) return of_biases_too;
  if (setting.kind == Kind::Choice) {
    return *std::ranges::find_if(setting.choices, [&](const auto& choice) { return choice != setting.fallback; });
  }
  if (setting.kind == Kind::Bool) return setting.fallback == "true" ? "false" : "true";
  if (setting.kind == Kind::Path) return "a.h5";
  return setting.fallback == "0" || setting.fallback == "0.0" ? "0.01" : "0.5";
}

const Setting* setting_at(const Configuration& of, const std::string& key) {
  Settings names;
  names.set("model.name", of.model());
  names.set("method.name", of.def->name);
  return setting_of(catalog(), names, key);
}

class Overrides : public testing::TestWithParam<std::string> {
 protected:
  const MethodDef& def() const { return find_method(GetParam()); }
};

TEST_P(Overrides, OfWhatIsDeclaredTwoValuesAreOneExperiment) {
  for (const Override& each : def().overrides) {
    SCOPED_TRACE(each.key);
    Configuration base{&def(), example_of(def()).settings};
    if (setting_at(base, each.key) == nullptr) continue;  // of other models than that of the example
    for (const Condition& condition : each.when.empty() ? std::vector<Condition>() : each.when.front()) {
      const Setting& asked = *setting_at(base, condition.key);
      if (condition.one_of) base = base.with(condition.key, condition.values.front());
      if (!condition.one_of && std::ranges::find(condition.values, *asked.fallback) != condition.values.end()) {
        base = base.with(condition.key, other_value(asked));
      }
    }
    if (each.key == "train.decay_norm") base = base.with("train.weight_decay", "0.1");
    const Configuration other = base.with(each.key, other_value(*setting_at(base, each.key)));
    EXPECT_EQ(trained(base), trained(other));
    EXPECT_TRUE(other.has(kStartFile) || !in_identity(other, each.key));
  }
}

TEST_P(Overrides, WhatIsNotDeclaredIsRead) {
  const Configuration example = example_of(def()), dense{&find_method("dense")};
  std::vector<std::string> keys;
  for (const Setting& setting : find_model(example.model()).schema) {
    if (setting.key == "init" || setting.key == "bn_scale") keys.push_back("model." + setting.key);
  }
  for (const char* key : {"lr", "momentum", "nesterov", "weight_decay", "decay_norm", "label_smoothing", "clip_norm"}) {
    keys.push_back(std::string("train.") + key);
  }
  int read = 0;
  for (const std::string& key : keys) {
    SCOPED_TRACE(key);
    Configuration base = example;
    if (key == "train.decay_norm") base = base.with("train.weight_decay", "0.1");
    const Configuration other = base.with(key, other_value(*setting_at(base, key)));
    const bool changes = trained(base) != trained(other);
    EXPECT_EQ(changes, in_identity(other, key));
    read += changes ? 1 : 0;
  }
  EXPECT_GT(read, 3);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const MethodDef& def : methods()) all.push_back(def.name);
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, Overrides, testing::ValuesIn(names()),
                         [](const testing::TestParamInfo<std::string>& method) { return method.param; });

// Of the model nothing is drawn.
TEST(StartFile, StandsForTheInitialisationOfTheModel) {
  for (const Override& each : catalog().overrides) {
    SCOPED_TRACE(each.key);
    Configuration base{&find_method("slimming")};
    base = base.with(kStartFile, "a.h5");
    EXPECT_EQ(trained(base), trained(base.with(each.key, other_value(*setting_at(base, each.key)))));
  }
}

}  // namespace
}  // namespace winnow
