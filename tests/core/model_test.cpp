#include "core/model.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace winnow {
namespace {

TEST(ModelBuilder, LayersGetPyTorchNamesFansAndRoles) {
  Model model{.name = "tiny"};
  ModelBuilder net(model);
  net.weight_init({.kind = InitSpec::Kind::XavierNormal});
  net.bias_init({.kind = InitSpec::Kind::TorchDefault});
  ValueId x = net.input({8, 8, 3, 10}, 2, DType::F32);
  x = net.conv2d(x, "conv1", 16, 3, 2, 1, true);
  EXPECT_EQ(net.shape(x), (Shape{2, 4, 4, 16}));
  ASSERT_EQ(model.params.size(), 2u);
  const ParamSpec &weight = model.params[0], &bias = model.params[1];
  EXPECT_EQ(weight.name, "conv1.weight");
  EXPECT_EQ(weight.shape, (Shape{16, 3, 3, 3}));
  EXPECT_EQ(weight.init, (InitSpec{InitSpec::Kind::XavierNormal, 0, 27, 144}));
  EXPECT_TRUE(weight.prunable);
  EXPECT_EQ(weight.layer, "conv1");
  EXPECT_EQ(bias.name, "conv1.bias");
  EXPECT_EQ(bias.role, ParamRole::Bias);
  EXPECT_EQ(bias.init, (InitSpec{InitSpec::Kind::TorchDefault, 0, 27, 144}));
  EXPECT_EQ(bias.layer_shape, weight.shape);
  EXPECT_FALSE(bias.prunable);
  EXPECT_EQ(model.graph.value(weight.value).name, "conv1.weight");
}

TEST(ModelBuilder, BatchNormHasRunningStatisticsThatStartAtZeroAndOne) {
  Model model{.name = "tiny"};
  ModelBuilder net(model);
  const ValueId x = net.input({4, 4, 3, 10}, 2, DType::F32);
  const ValueId y = net.batch_norm(x, "bn1", true, 0.5);
  ASSERT_EQ(model.params.size(), 2u);
  EXPECT_EQ(model.params[0].name, "bn1.weight");
  EXPECT_EQ(model.params[0].role, ParamRole::NormScale);
  EXPECT_EQ(model.params[0].init, (InitSpec{InitSpec::Kind::Constant, 0.5}));
  EXPECT_EQ(model.params[0].decay, 1);
  EXPECT_EQ(model.params[1].name, "bn1.bias");
  EXPECT_EQ(model.params[1].init, (InitSpec{}));
  ASSERT_EQ(model.buffers.size(), 2u);
  EXPECT_EQ(model.buffers[0].name, "bn1.running_mean");
  EXPECT_EQ(model.buffers[0].initial, 0);
  EXPECT_EQ(model.buffers[1].name, "bn1.running_var");
  EXPECT_EQ(model.buffers[1].initial, 1);
  net.batch_norm(y, "bn2", false);
  EXPECT_EQ(model.params.size(), 2u) << "without affine there are no parameters";
  EXPECT_EQ(model.buffers.size(), 4u);
}

TEST(ModelBuilder, Bf16CastsTheImagesOnce) {
  Model model{.name = "tiny"};
  ModelBuilder net(model);
  const ValueId x = net.input({4, 4, 3, 10}, 2, DType::BF16);
  EXPECT_NE(x, model.input);
  EXPECT_EQ(model.graph.value(model.input).dtype, DType::F32);
  EXPECT_EQ(model.graph.value(x).dtype, DType::BF16);
}

TEST(ModelBuilder, DropoutOfRateZeroIsNoNode) {
  Model model{.name = "tiny"};
  ModelBuilder net(model);
  const ValueId x = net.input({4, 4, 3, 10}, 2, DType::F32);
  EXPECT_EQ(net.dropout(x, "drop", 0), x);
  EXPECT_NE(net.dropout(x, "drop", 0.5), x);
}

TEST(ModelBuilder, TwoParametersOfOneNameAreAnError) {
  Model model{.name = "tiny"};
  ModelBuilder net(model);
  net.param({.name = "a", .shape = {3}});
  EXPECT_THROW(net.param({.name = "a", .shape = {3}}), Error);
  net.buffer("b", {3}, 0);
  EXPECT_THROW(net.buffer("b", {3}, 0), Error);
}

}  // namespace
}  // namespace winnow
