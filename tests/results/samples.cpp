#include "tests/results/samples.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "core/codebook.h"
#include "kernels/rng.h"

namespace winnow::test {
namespace {

RngKey key_of(const std::string& name, std::uint32_t step) { return {7, stream_id(name), step}; }

}  // namespace

SeededInit seeded_normal(const std::string& name, std::int64_t fan_in) {
  return {{InitSpec::Kind::KaimingNormal, 0, fan_in, 10}, key_of("init/" + name, 0)};
}

std::vector<float> generated(const SeededInit& seeded, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  generate(seeded.spec, seeded.key, values);
  return values;
}

WeightRecord dense_weight(const std::string& name, Shape shape) {
  WeightRecord weight{name, shape, true, false, generated(seeded_normal(name, 3), shape.numel())};
  weight.values[0] = -0.0f;
  return weight;
}

WeightRecord pruned_weight(const std::string& name, Shape shape, double density) {
  WeightRecord weight = dense_weight(name, shape);
  weight.prunable = true;
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    const bool kept = uniform_at(key_of(name, 1), i) < static_cast<float>(density);
    weight.keep.push_back(kept);
    if (!kept) weight.values[i] = 0;
  }
  weight.keep[0] = 1;  // a kept weight of value -0 must survive
  weight.values[0] = -0.0f;
  return weight;
}

WeightRecord frozen_weight(const std::string& name, Shape shape, double trained) {
  WeightRecord weight{name, shape, trained > 0, true, {}};
  weight.seeded = seeded_normal(name, 9);
  weight.values = generated(*weight.seeded, shape.numel());
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    const bool moved = uniform_at(key_of(name, 2), i) < static_cast<float>(trained);
    weight.train.push_back(moved);
    if (moved) weight.values[i] += 0.25f;
  }
  return weight;
}

WeightRecord cut_weight(const std::string& name) {
  WeightRecord weight = dense_weight(name, {5, 2, 3});
  weight.whole = {70, 3, 3};
  weight.left = {{0, 31, 32, 64, 69}, {0, 2}, {}};
  return weight;
}

WeightRecord supermask_weight(const std::string& name, Shape shape, double density) {
  WeightRecord weight = frozen_weight(name, shape, 0);
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    const bool kept = uniform_at(key_of(name, 3), i) < static_cast<float>(density);
    weight.keep.push_back(kept);
    if (!kept) weight.values[i] = 0;
  }
  return weight;
}

WeightRecord signed_weight(const std::string& name, Shape shape, double density) {
  WeightRecord weight = supermask_weight(name, shape, density);
  weight.seeded.reset();
  weight.train.clear();
  for (float& value : weight.values) value = value == 0 ? 0.0f : value < 0 ? -0.125f : 0.125f;
  return weight;
}

WeightRecord coded_weight(const std::string& name, Shape shape, double density) {
  WeightRecord weight = pruned_weight(name, shape, density);
  if (density == 1) weight.keep.clear();
  std::vector<float> table;
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    for (const float level : {-1.0f, 0.0f, 1.0f}) table.push_back(level * (0.1f + static_cast<float>(row)));
  }
  std::vector<std::uint32_t> codes;
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    if (weight.keep.empty() || weight.keep[i] != 0) codes.push_back(static_cast<std::uint32_t>(i * 7 % 3));
  }
  weight.encoded = codebook(codes, std::move(table), 3);
  weight.values = decode(*weight.encoded, weight.shape, weight.keep);
  return weight;
}

TrialResult sample_trial(int number, const std::string& method, const std::string& density, int replicate,
                         double accuracy) {
  TrialResult result;
  result.spec.id = fmt::format("{:02x}{:018x}", 0xa0 + number, number);
  result.spec.replicate = replicate;
  for (const auto& [key, value] : {std::pair<const char*, std::string>{"data.name", "mnist"},
                                   {"method.density", density},
                                   {"method.name", method},
                                   {"model.name", "lenet300"}}) {
    result.spec.identity.set(key, value);
  }
  for (const auto& [key, value] : std::map<std::string, std::string>{{"data.name", "mnist"},
                                                                     {"model.name", "lenet300"},
                                                                     {"train.lr", "0.1"},
                                                                     {"train.epochs", "3"},
                                                                     {"method.name", method},
                                                                     {"method.density", density}}) {
    if (key != "method.density" || method != "dense") result.spec.settings.set(key, value);
  }
  const double kept = std::stod(density);
  result.summary = {{"final.test_acc", accuracy},
                    {"best.test_acc", accuracy + 0.005},
                    {"density", kept},
                    {"params.total", 1000},
                    {"params.kept", 1000 * kept},
                    {"params.trained", 1000 * kept},
                    {"sparsity.prunable", 1 - kept},
                    {"sparsity.all", 0.99 * (1 - kept)},
                    {"compression", 1 / kept},
                    {"speedup.theoretical", 1 / kept},
                    {"flops.train_ratio", kept},
                    {"search.flops_ratio", 0},
                    {"stored.bits", 32000 * kept},
                    {"stored.ratio", 1 / kept},
                    {"seconds.total", 12.5},
                    {"ranks", 1},
                    {"steps", 30}};
  result.epochs.columns = {{"epoch", std::vector<std::int64_t>{1, 2, 3}},
                           {"test_acc", std::vector<double>{0.5, 0.8, accuracy}, "1", "test accuracy", "max"},
                           {"seconds", std::vector<double>{4, 4, 4.5}, "s"}};
  result.steps.columns = {{"step", std::vector<std::int64_t>{10, 20, 30}},
                          {"loss", std::vector<double>{2, 1, 0.5}, "nat", "", "min"}};
  result.events.columns = {{"step", std::vector<std::int64_t>{15}},
                           {"layer", std::vector<std::string>{"conv.weight"}},
                           {"what", std::vector<std::string>{"grown"}},
                           {"value", std::vector<double>{12}}};
  result.layers.columns = {{"name", std::vector<std::string>{"conv.weight", "fc.weight"}},
                           {"kind", std::vector<std::string>{"conv", "linear"}}};
  result.weights = {pruned_weight("conv.weight", {40, 12, 3, 3}, kept), frozen_weight("fc.weight", {30, 100}, 0.05),
                    dense_weight("fc.bias", {30})};
  result.provenance = {{"git", "abc123"}, {"data/mnist", "sha256:00"}, {"host", "n1"}};
  result.lineage = {{"start", "aa11"}};
  return result;
}

}  // namespace winnow::test
