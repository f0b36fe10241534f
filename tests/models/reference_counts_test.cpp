// Every model against published counts: weights (convolution and linear), all parameters, multiply-adds of one image.
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "core/error.h"
#include "core/graph_editor.h"
#include "core/op.h"
#include "experiments/models/registry.h"
#include "tests/models/data_shapes.h"

namespace winnow {
namespace {

Model build(const std::string& name, std::map<std::string, std::string, std::less<>> given, const DataShape& data,
            std::int64_t batch = 1, DType compute = DType::F32) {
  const ModelDef& def = find_model(name);
  return def.build(resolve(def.schema, Settings(std::move(given))), data, batch, compute);
}

struct Counts {
  std::int64_t weights = 0, params = 0, macs = 0;
  bool operator==(const Counts&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Counts& counts) {
  return out << counts.weights << " weights, " << counts.params << " parameters, " << counts.macs << " MAC";
}

Counts counts_of(const Model& model) {
  Counts counts;
  for (const ParamSpec& spec : model.params) {
    counts.params += spec.shape.numel();
    if (spec.prunable) counts.weights += spec.shape.numel();
  }
  for (const Node& node : model.graph.nodes()) {
    const OpDef& def = find_op(node.op);
    if (!def.macs) continue;
    std::vector<ValueInfo> in, out;
    for (const ValueId id : node.in) in.push_back(id == kNoValue ? ValueInfo{} : model.graph.value(id));
    for (const ValueId id : node.out) out.push_back(model.graph.value(id));
    counts.macs += def.macs(in, out, node.attrs);
  }
  return counts;
}

struct Reference {
  std::string name;
  std::map<std::string, std::string, std::less<>> settings;
  DataShape data;
  Counts counts;
};

TEST(Models, CountsEqualThePublishedOnes) {
  const std::vector<Reference> references = {
      {"lenet300", {}, kMnist, {266200, 266610, 266200}},
      {"lenet5", {}, kMnist, {430500, 431080, 2293000}},
      {"conv2", {}, kCifar10, {4300992, 4301642, 43780608}},
      {"conv4", {}, kCifar10, {2425024, 2425930, 98306560}},
      {"conv6", {}, kCifar10, {2261184, 2262602, 153881088}},
      {"vgg11", {}, kCifar10, {9222848, 9228362, 152769536}},
      {"vgg13", {}, kCifar100, {9453248, 9459236, 228313088}},
      {"vgg16", {}, kCifar10, {14715584, 14724042, 313201664}},
      {"vgg16", {{"conv_bias", "true"}}, kCifar10, {14715584, 14728266, 313201664}},
      {"vgg16", {{"conv_bias", "true"}, {"classifier", "mlp"}}, kCifar10, {14977728, 14991946, 313463808}},
      {"vgg19", {}, kCifar10, {20024000, 20035018, 398136320}},
      {"resnet20", {}, kCifar10, {268336, 269722, 40551040}},
      {"resnet20", {}, kCifar100, {274096, 275572, 40556800}},
      {"resnet20", {{"shortcut", "projection"}}, kCifar10, {270896, 272474, 40813184}},
      {"resnet32", {}, kCifar10, {461872, 464154, 68862592}},
      {"resnet32", {{"shortcut", "projection"}}, kCifar10, {464432, 466906, 69124736}},
      {"resnet44", {}, kCifar10, {655408, 658586, 97174144}},
      {"resnet56", {}, kCifar10, {848944, 853018, 125485696}},
      {"resnet110", {}, kCifar10, {1719856, 1727962, 252887680}},
      {"resnet18", {}, kImageNet, {11678912, 11689512, 1814073344}},
      {"resnet18", {}, kCifar10, {11164352, 11173962, 555422720}},
      {"resnet34", {}, kImageNet, {21779648, 21797672, 3663761408}},
      {"resnet34", {}, kCifar10, {21265088, 21282122, 1159402496}},
      {"resnet34", {}, kTiny, {21362368, 21379592, 4637691904}},
      {"resnet50", {}, kImageNet, {25502912, 25557032, 4089184256}},
      {"resnet50", {}, kCifar10, {23467712, 23520842, 1297829888}},
      {"wide_resnet", {{"depth", "16"}, {"width", "4"}}, kCifar10, {2745264, 2748890, 392612352}},
      {"wide_resnet", {{"depth", "22"}, {"width", "2"}}, kCifar10, {1076912, 1079642, 157730048}},
      {"wide_resnet", {{"depth", "28"}, {"width", "10"}}, kCifar10, {36461232, 36479194, 5243328768}},
      {"wide_resnet", {{"depth", "40"}, {"width", "4"}}, kCifar10, {8938416, 8949210, 1298582016}},
      {"mobilenet_v1", {}, kImageNet, {4209088, 4231976, 568740352}},
      {"mobilenet_v1", {{"width", "0.75"}}, kImageNet, {2568144, 2585560, 325400448}},
      {"mobilenet_v1", {{"width", "0.5"}}, kImageNet, {1319648, 1331592, 149497088}},
      {"mobilenet_v1", {{"width", "0.25"}}, kImageNet, {463600, 470072, 41030272}},
      {"mobilenet_v1", {}, {192, 192, 3, 1000}, {4209088, 4231976, 418121728}},
      {"mobilenet_v1", {}, {160, 160, 3, 1000}, {4209088, 4231976, 290675200}},
      {"mobilenet_v1", {}, {128, 128, 3, 1000}, {4209088, 4231976, 186400768}},
      {"mobilenet_v1", {}, kCifar10, {3195328, 3217226, 46354432}},
      {"densenet_bc", {}, kCifar10, {745164, 769162, 287929692}},
      {"densenet_bc", {}, kCifar100, {775944, 800032, 287960472}},
      {"densenet_bc", {{"depth", "250"}, {"growth", "24"}}, kCifar10, {15066420, 15324406, 5418785724}},
      {"densenet_bc", {{"depth", "190"}, {"growth", "40"}}, kCifar10, {25367460, 25624430, 9301945740}},
      {"densenet121", {}, kImageNet, {7894208, 7978856, 2834161664}},
      {"densenet121", {}, kCifar10, {6872768, 6956426, 888350720}},
      {"densenet169", {}, kImageNet, {13990080, 14149480, 3359843328}},
      {"densenet201", {}, kImageNet, {19783872, 20013928, 4291365888}},
      {"densenet161", {}, kImageNet, {28460064, 28681000, 7727907072}},
      {"cct2_3x2", {}, kCifar10, {273472, 283723, 35341568}},
      {"cct4_3x2", {}, kCifar10, {470080, 482123, 50021632}},
      {"cct6_3x2", {}, kCifar10, {3297728, 3326923, 253463040}},
      {"cct7_3x2", {}, kCifar10, {3822016, 3853259, 289114624}},
      {"cct6_3x1", {}, kCifar10, {3155456, 3233803, 1013844480}},
      {"cct7_3x1", {}, kCifar10, {3679744, 3760139, 1181616640}},
  };
  for (const Reference& reference : references) {
    EXPECT_EQ(counts_of(build(reference.name, reference.settings, reference.data)), reference.counts)
        << reference.name << " " << reference.data.height;
  }
}

TEST(Models, ParametersDoNotDependOnBatchSizeOrComputeType) {
  for (const ModelDef& def : models()) {
    const Model a = build(def.name, {}, kCifar10, 1), b = build(def.name, {}, kCifar10, 7, DType::BF16);
    ASSERT_EQ(a.params.size(), b.params.size()) << def.name;
    std::set<std::string> names;
    for (std::size_t i = 0; i < a.params.size(); ++i) {
      EXPECT_EQ(a.params[i].name, b.params[i].name);
      EXPECT_EQ(a.params[i].shape, b.params[i].shape);
      EXPECT_EQ(a.params[i].init, b.params[i].init);
      names.insert(a.params[i].name);
    }
    EXPECT_EQ(names.size(), a.params.size()) << def.name << " repeats a parameter's name";
    ASSERT_EQ(a.buffers.size(), b.buffers.size()) << def.name;
    EXPECT_EQ(b.graph.value(b.logits).shape, (Shape{7, 10})) << def.name;
    EXPECT_EQ(b.graph.value(b.logits).dtype, DType::BF16) << def.name;
    EXPECT_EQ(b.graph.value(b.input).dtype, DType::F32) << def.name;
  }
}

TEST(Models, NodesHaveNamesThatDiffer) {
  // Dropout keys its random stream by the node's name, profiles and messages show it.
  for (const ModelDef& def : models()) {
    const Model model = build(def.name, {}, kCifar10);
    std::set<std::string> names;
    for (const Node& node : model.graph.nodes()) {
      EXPECT_FALSE(node.name.empty()) << def.name << " " << node.op;
      EXPECT_TRUE(names.insert(node.name).second) << def.name << " " << node.name;
    }
  }
}

TEST(Models, ResNet20NamesItsBlocksAndLayers) {
  Model model = build("resnet20", {}, kCifar10);
  std::vector<std::string> blocks;
  for (const Region& region : model.regions) {
    if (region.kind != "basic_block") continue;
    blocks.push_back(region.name);
    EXPECT_EQ(region.name, fmt::format("stage{}.block{}", region.stage, region.block));
    EXPECT_NE(region.in, region.out);
  }
  EXPECT_EQ(blocks, (std::vector<std::string>{"stage0.block0", "stage0.block1", "stage0.block2", "stage1.block0",
                                              "stage1.block1", "stage1.block2", "stage2.block0", "stage2.block1",
                                              "stage2.block2"}));
  const Settings train;
  const std::vector<Layer> layers = GraphEditor(model, train).layers();
  ASSERT_EQ(layers.size(), 20u);
  EXPECT_EQ(layers.front().name, "conv1");
  EXPECT_EQ(layers[7].name, "stage1.block0.conv1");
  EXPECT_EQ(layers.back().name, "fc");
}

TEST(Models, VggNamesItsUnits) {
  const Model model = build("vgg16", {}, kCifar10);
  ASSERT_EQ(model.regions.size(), 13u);
  EXPECT_EQ(model.regions[12].kind, "conv_bn_relu");
  EXPECT_EQ(model.regions[12].name, "stage4.block2");
}

TEST(Models, WidthTwoIsGraspsResNet32) {
  const Model model = build("resnet32", {{"width", "2"}, {"shortcut", "projection"}}, kCifar10);
  EXPECT_EQ(model.params.front().shape, (Shape{32, 3, 3, 3}));
  EXPECT_EQ(model.params.back().shape, (Shape{10}));
  EXPECT_EQ(model.params[model.params.size() - 2].shape, (Shape{10, 128}));
}

TEST(Models, InitialisationFollowsTheSetting) {
  const Model kaiming = build("lenet300", {{"init", "kaiming_normal"}}, kMnist);
  EXPECT_EQ(kaiming.params[0].init, (InitSpec{InitSpec::Kind::KaimingNormal, 0, 784, 300}));
  EXPECT_EQ(kaiming.params[1].init.kind, InitSpec::Kind::Constant);
  const Model torch = build("lenet300", {{"init", "torch_default"}}, kMnist);
  EXPECT_EQ(torch.params[1].init.kind, InitSpec::Kind::TorchDefault);
  EXPECT_EQ(torch.params[1].init.fan_in, 784) << "a bias is drawn with the fan of its weight";
  const Model scaled = build("resnet20", {{"bn_scale", "0.5"}}, kCifar10);
  EXPECT_EQ(scaled.params[1].name, "bn1.weight");
  EXPECT_EQ(scaled.params[1].init.value, 0.5);
  EXPECT_EQ(scaled.buffers[1].name, "bn1.running_var");
  EXPECT_EQ(scaled.buffers[1].initial, 1);
}

TEST(Models, ConvolutionsBeforeBatchNormHaveNoBias) {
  const Model model = build("resnet50", {}, kImageNet);
  for (const ParamSpec& spec : model.params) {
    EXPECT_FALSE(spec.role == ParamRole::Bias && spec.layer != "fc") << spec.name;
  }
}

void expect_misfit(const std::string& name, std::map<std::string, std::string, std::less<>> given,
                   const DataShape& data, const std::string& part) {
  try {
    build(name, std::move(given), data);
    FAIL() << name << " accepts " << data.height << "x" << data.width;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Settings);
    const std::string text = error.what();
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_NE(text.find("'" + name + "'"), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST(Models, RefuseImagesThatDoNotFit) {
  expect_misfit("vgg16", {}, kMnist, "28x28x1");
  expect_misfit("lenet5", {}, {30, 30, 1, 10}, "multiples of 4");
  expect_misfit("conv6", {}, kMnist, "multiples of 8");
  expect_misfit("resnet18", {{"stem", "imagenet"}}, kMnist, "at least 32");
  expect_misfit("wide_resnet", {{"depth", "20"}}, kCifar10, "6n + 4");
  expect_misfit("densenet_bc", {{"depth", "40"}, {"growth", "12"}}, {2, 2, 3, 10}, "at least 4");
  expect_misfit("densenet_bc", {{"depth", "39"}}, kCifar10, "must be 6n + 4, such as 34 or 40");
  expect_misfit("mobilenet_v1", {}, {8, 8, 3, 10}, "at least 16");
}

TEST(Models, UnknownNameSuggestsTheNearest) {
  try {
    find_model("resnet2O");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'resnet2"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace winnow
