// Counts of trained networks against the specification's oracles.
#include "experiments/accounting/accounting.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/train_settings.h"
#include "experiments/accounting/stored_bits.h"
#include "experiments/methods/registry.h"
#include "experiments/models/registry.h"
#include "tests/models/data_shapes.h"

namespace winnow {
namespace {

Model build(const std::string& name, const DataShape& data, std::int64_t batch = 1) {
  const ModelDef& def = find_model(name);
  return def.build(resolve(def.schema, Settings()), data, batch, DType::F32);
}

// Effective weights of a network without derivations: the parameters themselves.
std::vector<TrainState::LayerWeight> plain_weights(const Model& model, const ParamStore& params) {
  std::vector<TrainState::LayerWeight> weights;
  for (const LayerCount& layer : count_layers(model)) {
    const auto values = params.weight(layer.leaves.at(0));
    weights.push_back({layer.name, model.param(layer.leaves[0]).shape, {values.begin(), values.end()}});
  }
  return weights;
}

std::vector<std::uint8_t> first(std::int64_t numel, std::int64_t ones) {
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(numel), 0);
  std::fill_n(bits.begin(), ones, std::uint8_t{1});
  return bits;
}

const Column& column(const Table& table, const std::string& name) {
  for (const Column& each : table.columns) {
    if (each.name == name) return each;
  }
  throw std::runtime_error("no column " + name);
}

template <class T>
T cell(const Table& table, const std::string& row, const std::string& name) {
  const auto& names = std::get<std::vector<std::string>>(table.columns[0].values);
  const auto at = std::find(names.begin(), names.end(), row) - names.begin();
  return std::get<std::vector<T>>(column(table, name).values).at(static_cast<std::size_t>(at));
}

// ResNet-20 with the non-zero counts of ERK at sparsity 0.9 (table in section A0).
std::vector<LayerCount> erk_resnet20() {
  std::vector<LayerCount> layers = count_layers(build("resnet20", kCifar10));
  const std::map<std::int64_t, std::int64_t> nonzero = {{432, 432},    {2304, 698},   {4608, 992}, {9216, 1285},
                                                        {18432, 1873}, {36864, 2460}, {640, 640}};
  for (LayerCount& layer : layers) layer.nonzero = layer.kept = layer.trained = nonzero.at(layer.numel);
  return layers;
}

TEST(StoredBits, FrozenNetworkMatchesTheSurveysOracle) {
  constexpr std::int64_t kWeights = 430500, kOther = 580;
  EXPECT_EQ(stored_bits({kWeights + kOther, kWeights + kOther, 0}).smallest(), 13794560);
  const std::map<std::int64_t, std::int64_t> expected = {{43050, 1826692}, {4305, 238147}, {2153, 128395}};
  for (const auto& [trained, bits] : expected) {
    const StoredBits size = stored_bits({kWeights, kWeights, kWeights - trained});
    EXPECT_EQ(size.smallest() + 32 * kOther, bits);
    EXPECT_STREQ(size.form(), "seed");
  }
}

// One list of positions over all tensors, as in the oracle, against positions within each tensor.
TEST(StoredBits, PositionsAreCountedByTensorOrAsOneList) {
  const std::vector<std::int64_t> sizes = {500, 25000, 400000, 5000, 580}, trained = {50, 1255, 2500, 500, 580};
  std::vector<ParamSpec> specs(sizes.size());
  std::vector<LeafCount> leaves;
  std::int64_t by_tensor = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const StoredCount count{sizes[i], sizes[i], i < 4 ? sizes[i] - trained[i] : 0};
    leaves.push_back({ParamId(i), &specs[i], trained[i], count, stored_bits(count)});
    by_tensor += leaves.back().bits.smallest();
  }
  const StoredSize size = stored_size({}, {}, leaves, leaves.size());
  EXPECT_EQ(size.as_one, 238147) << "4305 of 430500 weights and 580 others";
  EXPECT_EQ(size.by_tensor, by_tensor);
  EXPECT_EQ(size.by_tensor, 580 * 32 + 4 * 32 + 4305 * 32 + 50 * 9 + 1255 * 15 + 2500 * 19 + 500 * 10);
  EXPECT_EQ(size.bits(), size.by_tensor);
  EXPECT_EQ(size.values, 4305 + 580);

  // Tensors that a seed gives whole need one seed together and one each apart.
  leaves.resize(2);
  for (LeafCount& leaf : leaves) {
    leaf.stored.untouched = leaf.stored.numel;
    leaf.bits = stored_bits(leaf.stored);
  }
  const StoredSize seeds = stored_size({}, {}, leaves, leaves.size());
  EXPECT_EQ(seeds.by_tensor, 64);
  EXPECT_EQ(seeds.as_one, 32);
  EXPECT_EQ(seeds.bits(), 32);
}

TEST(StoredBits, PrunedTensorTakesTheSmallerOfBitmaskAndIndices) {
  // N + 32 k against k (32 + ceil(log2 N))
  EXPECT_EQ(stored_bits({1000, 300, 0}).bitmask, 1000 + 32 * 300);
  EXPECT_STREQ(stored_bits({1000, 300, 0}).form(), "bitmask");
  EXPECT_EQ(stored_bits({1000, 10, 0}).smallest(), 10 * (32 + 10));
  EXPECT_STREQ(stored_bits({1000, 10, 0}).form(), "index");
  EXPECT_EQ(stored_bits({1000, 1000, 0}).smallest(), 32000);
  EXPECT_EQ(stored_bits({1000, 1000, 0}).seed, -1);
  EXPECT_EQ(stored_bits({1000, 1000, 1000}).smallest(), 32) << "never touched: only the seed";
  EXPECT_EQ(stored_bits({1000, 500, 500}).smallest(), 32 + 1000) << "a supermask: seed and one bit an entry";
}

TEST(LayerCounts, ProductsOfAttentionCountAndNoMaskMakesThemFewer) {
  const Model model = build("cct2_3x2", {32, 32, 3, 10}, 3);
  EXPECT_EQ(macs_of_products(model), 2 * 2 * 64 * 64 * 128 + 64 * 128);
  EXPECT_EQ(macs_dense(count_layers(model)) + macs_of_products(model), 35341568);
  EXPECT_EQ(macs_of_products(build("resnet20", {32, 32, 3, 10})), 0);
  ParamStore params(model, {slot_per_entry});
  params.initialise(3);
  for (std::size_t p = 0; p < params.size(); ++p) {
    if (!model.params[p].prunable) continue;
    params.replace_mask(ParamId(p), MaskKind::Keep, std::vector<std::uint8_t>(params.weight(ParamId(p)).size(), 0));
  }
  const auto summary = account(model, model, params, plain_weights(model, params)).summary;
  EXPECT_EQ(summary.at("macs.dense"), 35341568);
  EXPECT_EQ(summary.at("macs.sparse"), macs_of_products(model));
}

TEST(LayerCounts, ResNet20ErkMacsMatchTheOracle) {
  const std::vector<LayerCount> layers = erk_resnet20();
  EXPECT_EQ(macs_dense(layers), 40551040);
  // The sum over layers of output positions times whole non-zero weights.
  EXPECT_DOUBLE_EQ(macs_sparse(layers), 7537344);
  // The oracle has the densities before they are rounded to whole weights.
  double oracle = 0;
  const Model model = build("resnet20", kCifar10);
  for (const LayerCount& layer : layers) {
    const Shape& shape = model.param(layer.leaves.at(0)).layer_shape;
    const auto sum = static_cast<double>(std::accumulate(shape.begin(), shape.end(), std::int64_t{0}));
    const double density = 18.356125 * sum / static_cast<double>(shape.numel());
    oracle += static_cast<double>(layer.macs) * std::min(1.0, density);
  }
  EXPECT_NEAR(oracle, 7534053, 1);
}

TEST(LayerCounts, TrainingCostFollowsTheSpecification) {
  const std::vector<LayerCount> dense = count_layers(build("resnet20", kCifar10)), sparse = erk_resnet20();
  const double full = step_cost(dense).total();
  EXPECT_DOUBLE_EQ(full, 3.0 * 40551040);
  EXPECT_DOUBLE_EQ(step_cost(sparse).total(), 3 * macs_sparse(sparse));
  EXPECT_DOUBLE_EQ(step_cost(sparse, true).total(), 2 * macs_sparse(sparse) + macs_dense(dense));
  // RigL: 100 sparse steps for each one that needs dense gradients.
  const double rigl = (100 * step_cost(sparse).total() + step_cost(sparse, true).total()) / (101 * full);
  EXPECT_NEAR(rigl, 0.188479, 1e-4);  // there with densities before rounding
  // Freezing saves only the weight gradient.
  std::vector<LayerCount> frozen = dense;
  for (LayerCount& layer : frozen) layer.trained = 0;
  EXPECT_DOUBLE_EQ(step_cost(frozen).total(), 2.0 * 40551040);
}

// LeNet-300-100 with a method's edits.
Model with_method(const std::string& name, std::map<std::string, std::string, std::less<>> settings) {
  Model model = build("lenet300", kMnist);
  const MethodDef& def = find_method(name);
  const Settings train = resolve(train_schema(), Settings());
  GraphEditor editor(model, train);
  def.make(resolve(def.schema, Settings(std::move(settings))))->edit(editor);
  return model;
}

TEST(LayerCounts, ACompandedWeightIsAsSparseAsWhatIsTrained) {
  for (const char* coefficients : {"fixed", "coarse", "fine"}) {
    const Model model = with_method("compander", {{"coefficients", coefficients}});
    ParamStore params(model, {slot_per_entry});
    params.initialise(1);
    params.replace_mask(ParamId(0), MaskKind::Keep, first(235200, 23520));
    std::vector<LayerCount> layers = count_layers(model);
    measure(layers, params.specs(), count_entries(params));
    EXPECT_TRUE(layers[0].derived);
    EXPECT_EQ(layers[0].nonzero, 23520) << coefficients;
    EXPECT_EQ(layers[0].trained, 23520) << coefficients;
    EXPECT_DOUBLE_EQ(step_cost(layers).total(), 3.0 * (23520 + 31000)) << coefficients;
    EXPECT_DOUBLE_EQ(step_cost(layers, true).total(), 2.0 * (23520 + 31000) + 266200);
  }
}

TEST(LayerCounts, EdgePopupComputesWithItsShareAndScoresTakeEveryGradient) {
  const Model model = with_method("edge_popup", {{"density", "0.25"}});
  ParamStore params(model, {slot_per_entry});
  params.initialise(1);
  std::vector<LayerCount> layers = count_layers(model);
  measure(layers, params.specs(), count_entries(params));
  EXPECT_DOUBLE_EQ(step_cost(layers).total(), 2.0 * 266200 / 4 + 266200);
}

TEST(LayerCounts, DoNotDependOnTheBatch) {
  const auto one = count_layers(build("resnet20", kCifar10, 1)), many = count_layers(build("resnet20", kCifar10, 6));
  ASSERT_EQ(one.size(), many.size());
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i].macs, many[i].macs) << one[i].name;
}

class AccountingOfLeNet : public testing::Test {
 protected:
  AccountingOfLeNet() { params_.initialise(7); }
  Accounting counted() { return account(model_, model_, params_, plain_weights(model_, params_)); }
  Model model_ = build("lenet300", kMnist);
  ParamStore params_{model_, {slot_per_entry}};
};

TEST_F(AccountingOfLeNet, DenseNetworkHasNoSavings) {
  const auto summary = counted().summary;
  EXPECT_EQ(summary.at("params.total"), 266610);
  EXPECT_EQ(summary.at("params.prunable"), 266200);
  EXPECT_EQ(summary.at("params.kept"), 266610);
  EXPECT_EQ(summary.at("params.trained"), 266610);
  EXPECT_EQ(summary.at("density"), 1);
  EXPECT_EQ(summary.at("sparsity.all"), 0);
  EXPECT_EQ(summary.at("compression"), 1);
  EXPECT_EQ(summary.at("macs.dense"), 266200);
  EXPECT_EQ(summary.at("speedup.theoretical"), 1);
  EXPECT_EQ(summary.at("stored.ratio"), 1);
  EXPECT_EQ(summary.at("dead_layers"), 0);
}

TEST_F(AccountingOfLeNet, PrunedNetworkCountsBiasesAsNonZero) {
  params_.replace_mask(ParamId(0), MaskKind::Keep, first(235200, 23520));
  params_.replace_mask(ParamId(2), MaskKind::Keep, first(30000, 0));
  const Accounting result = counted();
  const auto& summary = result.summary;
  const double nonzero = 23520 + 0 + 1000;
  EXPECT_EQ(summary.at("params.kept"), nonzero + 410);
  EXPECT_EQ(summary.at("params.trained"), nonzero + 410);
  EXPECT_DOUBLE_EQ(summary.at("density"), nonzero / 266200);
  EXPECT_DOUBLE_EQ(summary.at("sparsity.prunable"), 1 - nonzero / 266200);
  EXPECT_DOUBLE_EQ(summary.at("compression"), 266610 / (nonzero + 410));
  EXPECT_DOUBLE_EQ(summary.at("sparsity.all"), 1 - (nonzero + 410) / 266610);
  EXPECT_DOUBLE_EQ(summary.at("macs.sparse"), nonzero);
  EXPECT_EQ(summary.at("dead_layers"), 1);
  EXPECT_EQ(summary.at("stored.bits"), 235200 + 32 * 23520 + 0 + 32 * (1000 + 410));
  EXPECT_EQ(cell<std::int64_t>(result.table, "fc1.weight", "kept"), 23520);
  EXPECT_EQ(cell<std::int64_t>(result.table, "fc1.weight", "macs"), 235200);
  EXPECT_EQ(cell<double>(result.table, "fc1.weight", "density"), 0.1);
  EXPECT_EQ(cell<std::string>(result.table, "fc1.weight", "kind"), "linear");
  EXPECT_EQ(cell<std::string>(result.table, "fc1.weight", "bits_form"), "bitmask");
  EXPECT_EQ(cell<std::string>(result.table, "fc1.bias", "kind"), "bias");
}

// A method may drive weights to exact zeros and name no mask, as proximal steps do.
TEST_F(AccountingOfLeNet, ZerosWithoutAMaskCountAsTheSameZerosWithOne) {
  const auto zero = [this](ParamId id, std::int64_t kept) {
    const auto weights = params_.change(id);
    std::fill(weights.begin() + kept, weights.end(), 0.0f);
  };
  zero(ParamId(0), 23520);
  zero(ParamId(2), 10);
  const Accounting by_value = counted();
  params_.replace_mask(ParamId(0), MaskKind::Keep, first(235200, 23520));
  params_.replace_mask(ParamId(2), MaskKind::Keep, first(30000, 10));
  const Accounting by_mask = counted();
  for (const auto& [name, value] : by_mask.summary) {
    if (name == "params.trained") continue;
    EXPECT_EQ(by_value.summary.at(name), value) << name;
  }
  EXPECT_EQ(by_value.summary.at("params.trained"), 266610) << "a zero that no mask names may come back";
  EXPECT_EQ(by_value.summary.at("params.kept"), 23520 + 10 + 1000 + 410);
  for (const char* name : {"kept", "nonzero", "bits.bitmask", "bits.index", "bits"}) {
    EXPECT_EQ(cell<std::int64_t>(by_value.table, "fc1.weight", name),
              cell<std::int64_t>(by_mask.table, "fc1.weight", name))
        << name;
  }
}

TEST_F(AccountingOfLeNet, ATensorThatIsZeroWithoutAMaskIsDead) {
  std::ranges::fill(params_.change(ParamId(2)), 0.0f);
  EXPECT_EQ(counted().summary.at("dead_layers"), 1);
  params_.replace_mask(ParamId(2), MaskKind::Keep, first(30000, 10));
  EXPECT_EQ(counted().summary.at("dead_layers"), 0) << "what a mask keeps at zero may just have grown";
  params_.replace_mask(ParamId(2), MaskKind::Keep, first(30000, 0));
  EXPECT_EQ(counted().summary.at("dead_layers"), 1);
}

TEST_F(AccountingOfLeNet, AStepComputesWithoutTheZerosAndTakesTheGradientsOfAll) {
  const auto weights = params_.change(ParamId(0));
  std::fill(weights.begin() + 23520, weights.end(), 0.0f);
  std::vector<LayerCount> layers = count_layers(model_);
  measure(layers, params_.specs(), count_entries(params_));
  EXPECT_DOUBLE_EQ(step_cost(layers).total(), 2.0 * (23520 + 31000) + 266200);
}

// Training may still change an entry of a mask that is zero by chance, such as one that was just grown.
TEST_F(AccountingOfLeNet, AMaskIsStoredWhateverItsValuesAre) {
  params_.replace_mask(ParamId(0), MaskKind::Keep, first(235200, 1000));
  const auto weights = params_.change(ParamId(0));
  std::fill(weights.begin(), weights.begin() + 100, 0.0f);
  const auto summary = counted().summary;
  EXPECT_DOUBLE_EQ(summary.at("density"), (900.0 + 31000) / 266200);
  EXPECT_EQ(summary.at("params.kept"), 1000 + 31000 + 410);
}

TEST_F(AccountingOfLeNet, FrozenEntriesAreDenseButNotStored) {
  // FreezeNet at q = 0.9: 26620 trained weights, 410 biases, factor 9.86.
  params_.replace_mask(ParamId(0), MaskKind::Trainable, first(235200, 26620));
  params_.replace_mask(ParamId(2), MaskKind::Trainable, first(30000, 0));
  params_.replace_mask(ParamId(4), MaskKind::Trainable, first(1000, 0));
  auto summary = counted().summary;
  EXPECT_EQ(summary.at("density"), 1);
  EXPECT_EQ(summary.at("params.kept"), 26620 + 410);
  EXPECT_EQ(summary.at("params.trained"), 26620 + 410);
  EXPECT_NEAR(summary.at("params.total") / summary.at("params.kept"), 9.86, 0.005);
  EXPECT_EQ(summary.at("stored.bits"), (32 + 32 * 26620 + 235200) + 32 + 32 + 32 * 410);
  EXPECT_EQ(summary.at("dead_layers"), 0);
  // An entry that weight decay moved cannot be regenerated any more.
  params_.change(ParamId(2))[5] *= 0.5f;
  EXPECT_EQ(counted().summary.at("params.kept"), 26620 + 410 + 1);
}

TEST(Accounting, SupermaskOverSeededWeightsIsStoredAsSeedAndMask) {
  const Model dense = build("lenet300", kMnist);
  Model edited = dense;
  const Settings train;
  {
    GraphEditor editor(edited, train);
    editor.store_seeded(ParamId(0));
    editor.freeze(ParamId(0));
    editor.derive(ParamId(0), [&](ValueId leaf) {
      const ParamId gate = editor.build().param({.name = "fc1.gate", .shape = {300, 784}, .role = ParamRole::Score});
      return editor.graph().emit1("mul", {leaf, edited.param(gate).value}, {}, "fc1.masked");
    });
  }
  ParamStore params(edited, {slot_per_entry});
  params.initialise(3);
  std::vector<TrainState::LayerWeight> effective;
  for (const LayerCount& layer : count_layers(edited)) {
    const auto values = params.weight(layer.leaves.at(0));
    effective.push_back({layer.name, edited.param(layer.leaves[0]).shape, {values.begin(), values.end()}});
  }
  std::fill(effective[0].values.begin() + 23520, effective[0].values.end(), 0.0f);
  const Accounting result = account(dense, edited, params, effective);
  EXPECT_DOUBLE_EQ(result.summary.at("density"), (23520.0 + 31000) / 266200);
  EXPECT_EQ(result.summary.at("params.trained"), 235200 + 31000 + 410) << "the gates are trained";
  EXPECT_EQ(result.summary.at("params.kept"), 31000 + 410) << "neither seeded weights nor what only masks them";
  EXPECT_EQ(result.summary.at("stored.bits"), 32 + 235200 + 32 * (31000 + 410)) << "merged: a mask over the seed";
  EXPECT_EQ(cell<std::int64_t>(result.table, "fc1", "nonzero"), 23520);
  EXPECT_EQ(cell<std::int64_t>(result.table, "fc1", "macs"), 235200);
  EXPECT_EQ(cell<std::int64_t>(result.table, "fc1.weight", "macs"), 0);
  EXPECT_EQ(cell<std::int64_t>(result.table, "fc1.weight", "bits"), 32);
}

TEST(Accounting, DerivationThatSavesNothingIsStoredByItsParameters) {
  const Model dense = build("lenet300", kMnist);
  Model edited = dense;
  const Settings train;
  {
    GraphEditor editor(edited, train);
    editor.derive(ParamId(0), [&](ValueId leaf) { return editor.graph().emit1("add", {leaf, leaf}, {}, "twice"); });
  }
  ParamStore params(edited, {slot_per_entry});
  params.initialise(3);
  params.replace_mask(ParamId(0), MaskKind::Keep, first(235200, 100));
  std::vector<LayerCount> layers = count_layers(edited);
  measure(layers, params.specs(), count_entries(params));
  EXPECT_TRUE(layers[0].derived);
  EXPECT_EQ(layers[0].kept, 100);
  EXPECT_EQ(layers[0].nonzero, 235200) << "not known without its values";
  EXPECT_DOUBLE_EQ(step_cost(layers).grad_weight, 266200) << "a derivation needs the dense gradient";
  auto effective = plain_weights(edited, params);
  for (float& value : effective[0].values) value += 1;  // as if the derivation filled the mask
  const auto summary = account(dense, edited, params, effective).summary;
  EXPECT_EQ(summary.at("density"), 1);
  EXPECT_EQ(summary.at("params.kept"), 100 + 31000 + 410);
  EXPECT_EQ(summary.at("stored.bits"), 100 * (32 + 18) + 32 * 31410);
}

TEST(Accounting, EffectiveWeightsMustBeThoseOfTheNetwork) {
  const Model model = build("lenet300", kMnist);
  ParamStore params(model, {slot_per_entry});
  auto weights = plain_weights(model, params);
  std::swap(weights[0], weights[1]);
  EXPECT_THROW(account(model, model, params, weights), Error);
  weights.pop_back();
  EXPECT_THROW(account(model, model, params, weights), Error);
}

}  // namespace
}  // namespace winnow
