// What tests of methods share on top of SmallTrial: small images, lookups by name, logits. Header only.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/training/small_trial.h"

namespace winnow::test {

// Images that a small residual network learns in seconds.
inline const Pairs kSmallImages = {
    {"height", "16"}, {"width", "16"}, {"channels", "3"}, {"examples", "320"}, {"test_examples", "100"}};

inline SmallTrial residual_trial(const Pairs& method, const Pairs& train = {}, const std::string& model = "resnet20") {
  return SmallTrial(model, method, train, kSmallImages);
}

// The settings of a method: its name, and these.
inline Pairs method_of(const std::string& name, const Pairs& extra) {
  Pairs method = {{"name", name}};
  method.insert(method.end(), extra.begin(), extra.end());
  return method;
}

// Prunable entries that the masks keep.
inline std::int64_t survivors(TrainState& trainer) {
  std::int64_t count = 0;
  for (const ParamId id : trainer.prunable()) count += trainer.params().count(id, MaskKind::Keep);
  return count;
}

inline ParamId named(Trainer& trainer, const std::string& name) {
  const auto specs = trainer.params().specs();
  for (std::size_t p = 0; p < specs.size(); ++p) {
    if (specs[p].name == name) return ParamId(p);
  }
  ADD_FAILURE() << "no parameter " << name;
  return ParamId(0);
}

inline std::vector<float> copy_of(Trainer& trainer, const std::string& name) {
  const auto weight = trainer.params().weight(named(trainer, name));
  return {weight.begin(), weight.end()};
}

inline double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return largest;
}

// Parameters that are trained or stored: what a table of a paper counts.
inline std::int64_t parameters_of(const Model& model) {
  std::int64_t count = 0;
  for (const ParamSpec& spec : model.params) count += spec.retired ? 0 : spec.shape.numel();
  return count;
}

// The model with a method's edits.
inline Model edited_model(const std::string& name, const Pairs& model, const Pairs& method, const DataShape& data,
                          std::int64_t batch = 1) {
  const ModelDef& def = find_model(name);
  Model edited = def.build(resolved(def.schema, model), data, batch, DType::F32);
  Settings settings;
  for (const auto& [key, text] : method) settings.set(key, text);
  const Settings train = resolved(train_schema(), {});
  GraphEditor editor(edited, train);
  make_method(settings)->edit(editor);
  return edited;
}

}  // namespace winnow::test
