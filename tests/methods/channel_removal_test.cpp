// Channels that go together, and their removal, on the models of the registry: counts worked out by hand, and outputs
// of the smaller network against those of the whole one with the same channels at zero.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/channel_groups.h"
#include "core/double_program.h"
#include "core/error.h"
#include "core/op.h"
#include "core/passes.h"
#include "core/program.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

using test::Pairs;
using Groups = std::vector<std::int64_t>;

Model built(const std::string& name, const Pairs& settings = {}, const DataShape& shape = {32, 32, 3, 10}) {
  const ModelDef& def = find_model(name);
  return def.build(test::resolved(def.schema, settings), shape, 1, DType::F32);
}

// Entries of parameters that go with a group; statistics are none.
std::int64_t parameters_of(const Model& model, const ChannelGroup& group) {
  std::map<ValueId, std::vector<std::set<std::int64_t>>> gone;
  for (const ChannelSlot& slot : group.slots) {
    auto& dims = gone[slot.leaf];
    dims.resize(static_cast<std::size_t>(model.graph.value(slot.leaf).shape.rank()));
    dims[static_cast<std::size_t>(slot.dim)].insert(slot.index);
  }
  std::int64_t count = 0;
  for (const ParamSpec& spec : model.params) {
    if (!gone.contains(spec.value)) continue;
    std::int64_t left = 1;
    for (int dim = 0; dim < spec.shape.rank(); ++dim) {
      left *= spec.shape[dim] - std::ssize(gone[spec.value][static_cast<std::size_t>(dim)]);
    }
    count += spec.shape.numel() - left;
  }
  return count;
}

std::int64_t parameters_of(const Model& model) { return test::parameters_of(model); }

// By number of parameters: how many groups.
std::map<std::int64_t, int> sizes(const Model& model) {
  std::map<std::int64_t, int> found;
  const ChannelGroups groups(model);
  for (const ChannelGroup& group : groups.groups()) ++found[parameters_of(model, group)];
  return found;
}

// 16 channels run through all stages, 16 through two and 32 through the last alone; the others are inside of blocks.
TEST(ChannelGroups, OfResNet20AreTheOnesCountedByHand) {
  const Model model = built("resnet20");
  EXPECT_EQ(sizes(model),
            (std::map<std::int64_t, int>{
                {290, 48}, {434, 32}, {578, 64}, {866, 64}, {1154, 128}, {2896, 32}, {4918, 16}, {6105, 16}}));
  EXPECT_EQ(ChannelGroups(model).groups().size(), 400u);
  EXPECT_EQ(ChannelGroups(built("resnet20", {{"shortcut", "projection"}})).groups().size(), 448u);
}

TEST(ChannelGroups, AStreamChannelOfResNet20RunsThroughThePaddedShortcuts) {
  Model model = built("resnet20");
  const ChannelGroups groups(model);
  const auto leaf = [&](const std::string& name) {
    return std::ranges::find(model.params, name, &ParamSpec::name)->value;
  };
  const auto first = groups.group_of(leaf("conv1.weight"), 0, 0);
  ASSERT_TRUE(first);
  EXPECT_EQ(groups.group_of(leaf("stage1.block0.conv2.weight"), 0, 8), first);
  EXPECT_EQ(groups.group_of(leaf("stage2.block2.conv2.weight"), 0, 24), first);
  EXPECT_EQ(groups.group_of(leaf("fc.weight"), 1, 24), first);
  EXPECT_EQ(parameters_of(model), 269722);
  const ChannelCut cut = remove_channels(model, Groups{static_cast<std::int64_t>(*first)});
  EXPECT_EQ(parameters_of(model), 263617);
  EXPECT_EQ(model.graph.value(model.logits).shape, (Shape{1, 10}));
  const auto fc = std::ranges::find(model.params, "fc.weight", &ParamSpec::name) - model.params.begin();
  EXPECT_EQ(std::ranges::count(cut.params[static_cast<std::size_t>(fc)].left[1], 24), 0);
}

TEST(ChannelGroups, ImagesAndLogitsAreInNone) {
  const Model model = built("lenet5", {}, {28, 28, 1, 10});
  const ChannelGroups groups(model);
  const auto of = [&](std::size_t p, int dim) { return groups.group_of(model.params[p].value, dim, 0); };
  EXPECT_FALSE(of(0, 1));                        // the image's channel
  EXPECT_FALSE(of(model.params.size() - 1, 0));  // a class
  EXPECT_TRUE(of(0, 0));
}

TEST(ChannelGroups, AFeatureOfAFlattenedImageGoesWithItsChannel) {
  Model model = built("lenet5", {}, {28, 28, 1, 10});
  const ChannelGroups groups(model);
  const auto found = std::ranges::find_if(model.params, [](const ParamSpec& s) { return s.shape.rank() == 2; });
  const std::int64_t features = found->shape[1], channels = (found - 2)->shape[0];
  const std::int64_t pixels = features / channels;
  const auto group = groups.group_of(found->value, 1, 3 * pixels);
  ASSERT_TRUE(group);
  for (std::int64_t k = 0; k < pixels; ++k) EXPECT_EQ(groups.group_of(found->value, 1, 3 * pixels + k), group);
  EXPECT_NE(groups.group_of(found->value, 1, 4 * pixels), group);
  remove_channels(model, Groups{static_cast<std::int64_t>(*group)});
  EXPECT_EQ(found->shape[1], features - pixels);
}

TEST(ChannelGroups, AnOpWithoutARuleIsNamed) {
  try {
    const ChannelGroups groups(built("cct2_3x2"));
    FAIL() << "attention has no channels that could go alone";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Settings);
    EXPECT_NE(std::string(error.what()).find("op 'reshape' of '"), std::string::npos) << error.what();
  }
}

TEST(ChannelGroups, ARowOfADerivedWeightIsInTheGroupOfItsLeaf) {
  Model model = built("vgg11");
  const Settings train = test::resolved(train_schema(), {});
  GraphEditor editor(model, train);
  editor.derive(ParamId(0), [&](ValueId w) { return editor.graph().emit1("mul", {w, w}, {}, "square"); });
  const ValueId leaf = model.params[0].value, weight = editor.layers().front().weight;
  ASSERT_NE(weight, leaf);
  const ChannelGroups groups(model);
  ASSERT_TRUE(groups.group_of(leaf, 0, 3).has_value());
  EXPECT_EQ(groups.group_of(weight, 0, 3), groups.group_of(leaf, 0, 3));
}

TEST(ChannelGroups, ALossTermInTheWayIsNamed) {
  const Model model = test::edited_model("resnet20", {}, {{"name", "ssl"}}, {16, 16, 3, 10});
  try {
    const ChannelGroups groups(model);
    FAIL() << "norms of groups of weights have no rule";
  } catch (const Error& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "channels cannot be removed beside the loss term 'ssl.filters': op 'reduce_sum' of 'ssl.strength.value' has "
        "no rule for it");
  }
}

TEST(ChannelGroups, TheLastChannelOfALayerStays) {
  Model model = built("vgg11");
  const ChannelGroups groups(model);
  Groups all;
  for (std::int64_t g = 0; g < std::ssize(groups.groups()); ++g) {
    if (groups.groups()[static_cast<std::size_t>(g)].family == 0) all.push_back(g);
  }
  try {
    remove_channels(model, all);
    FAIL() << "an empty layer";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(groups.family_name(0)), std::string::npos) << error.what();
  }
}

// A network, its values, and where they are.
struct Net {
  Model model;
  ParamStore store;
  explicit Net(Model m) : model(std::move(m)), store(model, {slot_per_entry}) {}
};

// Values under which no channel is like another.
Net filled(Model model) {
  set_norm_statistics(model.graph, NormStatistics::Running);
  Net net(std::move(model));
  net.store.initialise(3);
  const auto spread = [](std::span<float> values, const std::string& name, float low, float high) {
    const RngKey key{5, stream_id(name), 0};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = low + (high - low) * uniform_at(key, i);
  };
  for (std::size_t p = 0; p < net.model.params.size(); ++p) {
    const ParamSpec& spec = net.model.params[p];
    if (spec.role == ParamRole::NormScale) spread(net.store.change(ParamId(p)), spec.name, 0.5f, 1.5f);
    if (spec.role == ParamRole::NormShift || spec.role == ParamRole::Bias) {
      spread(net.store.change(ParamId(p)), spec.name, -0.5f, 0.5f);
    }
  }
  for (std::size_t b = 0; b < net.model.buffers.size(); ++b) {
    const bool mean = net.model.buffers[b].name.ends_with("mean");
    spread(net.store.change_buffer(b), net.model.buffers[b].name, mean ? -0.3f : 0.5f, mean ? 0.3f : 2.0f);
  }
  return net;
}

// Two of five groups at random, none of a family's first.
Groups some_groups(const Model& model) {
  const ChannelGroups groups(model);
  std::set<int> seen;
  Groups chosen;
  for (std::size_t g = 0; g < groups.groups().size(); ++g) {
    if (seen.insert(groups.groups()[g].family).second) continue;
    if (uniform_at({9, stream_id("groups"), 0}, g) < 0.4f) chosen.push_back(static_cast<std::int64_t>(g));
  }
  return chosen;
}

// What makes the channels of these groups: rows of layers, biases, scales and shifts.
void each_made(const Model& model, const Groups& chosen, const std::function<void(std::size_t, std::int64_t)>& entry) {
  const ChannelGroups groups(model);
  for (const std::int64_t g : chosen) {
    for (const ChannelSlot& slot : groups.groups()[static_cast<std::size_t>(g)].slots) {
      const auto spec = std::ranges::find(model.params, slot.leaf, &ParamSpec::value);
      if (spec == model.params.end() || slot.dim != 0) continue;
      const std::int64_t row = spec->shape.numel() / spec->shape[0];
      for (std::int64_t i = 0; i < row; ++i) {
        entry(static_cast<std::size_t>(spec - model.params.begin()), slot.index * row + i);
      }
    }
  }
}

std::vector<float> image_of(const Model& model) {
  std::vector<float> image(static_cast<std::size_t>(model.graph.value(model.input).shape.numel()));
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = 2 * uniform_at({1, stream_id("image"), 0}, i) - 1;
  return image;
}

std::vector<double> logits_in_double(Net& net) {
  DoubleProgram program(net.model.graph, std::vector{net.model.logits}, 2);
  program.set(net.model.input, image_of(net.model));
  for (std::size_t p = 0; p < net.model.params.size(); ++p) {
    program.set(net.model.params[p].value, net.store.weight(ParamId(p)));
  }
  for (std::size_t b = 0; b < net.model.buffers.size(); ++b) {
    program.set(net.model.buffers[b].value, net.store.buffer(b));
  }
  program.run();
  return program.value(net.model.logits);
}

std::vector<float> logits_in_single(Net& net) {
  std::vector<float> image = image_of(net.model);
  std::vector<Binding> bindings{{net.model.input, image.data()}};
  for (std::size_t p = 0; p < net.model.params.size(); ++p) {
    bindings.push_back({net.model.params[p].value, net.store.weight_memory(ParamId(p)).data});
  }
  for (std::size_t b = 0; b < net.model.buffers.size(); ++b) {
    bindings.push_back({net.model.buffers[b].value, net.store.buffer_memory(b).data});
  }
  Graph graph = net.model.graph;
  const std::vector outputs{net.model.logits};
  fuse_norm(graph, outputs);
  Program program(graph, outputs, bindings, 1);
  program.run();
  const auto values = program.view(net.model.logits).span<float>();
  return {values.begin(), values.end()};
}

class ChannelRemoval : public testing::TestWithParam<std::string> {};

std::vector<std::string> with_batch_norm() {
  std::vector<std::string> names;
  for (const ModelDef& def : models()) {
    const Model model =
        built(def.name, {},
              def.name == "lenet300" || def.name == "lenet5" ? DataShape{28, 28, 1, 10} : DataShape{32, 32, 3, 10});
    if (std::ranges::any_of(model.graph.nodes(), [](const Node& n) { return n.op == "batch_norm"; })) {
      names.push_back(def.name);
    }
  }
  return names;
}

TEST_P(ChannelRemoval, LeavesTheOutputsOfTheNetWithTheseChannelsAtZero) {
  // The reference multiplies slowly.
  const Pairs small = GetParam() == "wide_resnet" ? Pairs{{"depth", "16"}, {"width", "2"}} : Pairs{};
  Net whole = filled(built(GetParam(), small));
  const Groups gone = some_groups(whole.model);
  ASSERT_GT(gone.size(), 20u);
  each_made(whole.model, gone,
            [&](std::size_t p, std::int64_t i) { whole.store.change(ParamId(p))[static_cast<std::size_t>(i)] = 0; });

  Model cut_model = whole.model;
  const ChannelCut cut = remove_channels(cut_model, gone);
  EXPECT_LT(parameters_of(cut_model), parameters_of(whole.model) * 3 / 4);
  Net smaller(std::move(cut_model));
  ParamStore copy(whole.model, {slot_per_entry});
  MemoryState state;
  whole.store.save(state);
  copy.load(state);
  copy.gather(smaller.model, cut);
  smaller.store = std::move(copy);

  const std::vector<double> expected = logits_in_double(whole), found = logits_in_double(smaller);
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  EXPECT_GT(largest, 1e-3);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(expected[i], found[i], 1e-10 * largest) << i;
  const std::vector<float> single = logits_in_single(whole), less = logits_in_single(smaller);
  for (std::size_t i = 0; i < single.size(); ++i) EXPECT_NEAR(single[i], less[i], 2e-5 * largest) << i;
}

const auto kName = [](const testing::TestParamInfo<std::string>& model) { return model.param; };
INSTANTIATE_TEST_SUITE_P(Models, ChannelRemoval, testing::ValuesIn(with_batch_norm()), kName);

// Removal twice is removal at once, also in what it says of the tensors.
TEST(ChannelCut, TwoCutsAreOne) {
  Model twice = built("resnet20");
  const ChannelGroups before(twice);
  const ChannelCut first = remove_channels(twice, Groups{0, 5, 70});
  const ChannelCut second = remove_channels(twice, Groups{0, 60});  // the 1st and the 63rd of before
  Model once = built("resnet20");
  const ChannelCut both = remove_channels(once, Groups{0, 1, 5, 62, 70});
  const ChannelCut joined = first.then(second);
  for (std::size_t p = 0; p < once.params.size(); ++p) {
    EXPECT_EQ(once.params[p].shape, twice.params[p].shape) << once.params[p].name;
    EXPECT_EQ(joined.params[p].left, both.params[p].left) << once.params[p].name;
    EXPECT_EQ(joined.params[p].shape(), once.params[p].shape);
  }
}

// Steps on the smaller net are the masked steps on the whole one, with state of entries and of rows. (Adam's own is no
// example: it makes whole steps of gradients that are nothing but rounding.)
class TrainingAfterRemoval : public testing::TestWithParam<std::string> {};

TEST_P(TrainingAfterRemoval, GoesOnAsWithTheseChannelsMasked) {
  // Adam-mini makes steps of this length whatever the gradient is: where they are long, what is rounded otherwise grows with them.
  const char* rate = GetParam() == "sgd" ? "0.01" : "0.001";
  const test::Pairs train{{"weight_decay", "1e-4"}, {"optimizer", GetParam()}, {"lr", rate}};
  test::SmallTrial big_trial = test::residual_trial({{"name", "dense"}}, train);
  test::SmallTrial small_trial = test::residual_trial({{"name", "dense"}}, train);
  Trainer big = big_trial.make(), small = small_trial.make();
  big.start_phase(0);
  for (int i = 0; i < 3; ++i) big.train_step();
  MemoryState state;
  big.save(state);
  small.load(state);
  small.remove_channels(some_groups(big.model()));
  // What made these channels, and what reads them: an entry that reads nothing would count in the mean of its row.
  for (std::size_t p = 0; p < big.params().size(); ++p) {
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(big.model().params[p].shape.numel()), 0);
    for (const std::int64_t place : small.kept().params[p].places()) mask[static_cast<std::size_t>(place)] = 1;
    big.params().replace_mask(ParamId(p), MaskKind::Keep, mask);
  }
  EXPECT_LT(small.memory_bytes(), 2 * big.memory_bytes());
  for (int i = 0; i < 4; ++i) {
    const StepReport whole = big.train_step(), less = small.train_step();
    EXPECT_NEAR(whole.loss, less.loss, 1e-4);
  }
  for (std::size_t p = 0; p < big.params().size(); ++p) {
    const auto whole = big.params().weight(ParamId(p)), less = small.params().weight(ParamId(p));
    const auto slot = big.params().slot(ParamId(p), 0), less_slot = small.params().slot(ParamId(p), 0);
    const std::vector<std::int64_t> places = small.kept().params[p].places();
    ASSERT_EQ(places.size(), less.size());
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto place = static_cast<std::size_t>(places[i]);
      ASSERT_NEAR(whole[place], less[i], 1e-4) << big.model().params[p].name;
      ASSERT_NEAR(slot[place], less_slot[i], 1e-3) << big.model().params[p].name;
    }
  }
  EXPECT_EQ(small.evaluate(Split::Test).examples, big.evaluate(Split::Test).examples);
  EXPECT_NEAR(small.evaluate(Split::Test).loss, big.evaluate(Split::Test).loss, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Optimizers, TrainingAfterRemoval, testing::Values("sgd", "adam_mini"),
                         [](const auto& optimizer) { return optimizer.param; });

// A phase that goes back finds the values of then, of the channels that are left.
TEST(ChannelRemoval, ReachesSnapshotsAndSavedStates) {
  const Pairs method = {{"name", "imp"}, {"density", "0.5"}, {"rate", "0.5"}, {"rewind_to", "2it"}};
  test::SmallTrial trial = test::residual_trial(method), other = test::residual_trial(method);
  Trainer trainer = trial.make(), resumed = other.make();
  class AfterTwoSteps final : public TrainObserver {
   public:
    Wish wish() override { return left-- == 0 ? Wish::Stop : Wish::GoOn; }
    int left = 0;
  } stop;
  trial.observer = &stop;
  Trainer stopped = trial.make();
  stop.left = 4;
  EXPECT_THROW(stopped.run(), Error);
  stopped.remove_channels(some_groups(stopped.model()));
  MemoryState state;
  stopped.save(state);
  resumed.load(state);
  EXPECT_EQ(state.unread(), std::vector<std::string>{});
  EXPECT_EQ(test::parameters_of(resumed.model()), test::parameters_of(stopped.model()));
  EXPECT_LT(test::parameters_of(resumed.model()), test::parameters_of(trainer.model()));
  stop.left = -1;
  stopped.run();
  resumed.run();
  EXPECT_EQ(test::all_weights(stopped), test::all_weights(resumed));
}

}  // namespace
}  // namespace winnow
