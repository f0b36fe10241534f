// Batch norms that take their statistics from the convolutions in front of them (train.fuse_statistics): values, gradients and
// running statistics beside those of the plain graph on the same device, and which of them cuDNN has no plan for.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "core/autodiff.h"
#include "core/passes.h"
#include "core/program.h"
#include "kernels/rng.h"
#include "tests/device/emulated.h"
#include "tests/training/small_trial.h"
#include "tests/training/whole_trial.h"

namespace winnow::test {
namespace {

// A convolution with a batch norm and ReLU behind it, and the gradients of what that is along some direction.
struct Block {
  Graph graph;
  std::vector<ValueId> leaves, outputs;
  std::vector<std::vector<float>> values;

  ValueId leaf(const std::string& name, const Shape& shape, float centre, float width) {
    const auto count = static_cast<std::size_t>(shape.numel());
    std::vector<float> random(count);
    for (std::size_t i = 0; i < count; ++i) {
      random[i] = centre + width * (2 * uniform_at({11, stream_id(name), 0}, i) - 1);
    }
    leaves.push_back(graph.input(name, shape));
    values.push_back(std::move(random));
    return leaves.back();
  }

  // `centre`: of what is convolved with weights that add up, which moves the mean of what comes out.
  Block(DType compute, std::int64_t kernel, float centre, bool fuse) {
    ValueId x = leaf("x", {4, 9, 9, 16}, centre, 1);
    if (compute == DType::BF16) x = graph.emit1("cast", {x}, {{"dtype", std::string("bf16")}}, "rounded");
    const ValueId w = leaf("w", {24, 16, kernel, kernel}, 0.25f, 0.5f);
    const ValueId y = graph.emit1("conv2d", {x, w}, {{"pad", kernel / 2}}, "conv");
    const ValueId gamma = leaf("gamma", {24}, 1, 0.5f), beta = leaf("beta", {24}, 0, 0.5f),
                  mean = leaf("mean", {24}, 0, 0), var = leaf("var", {24}, 1, 0);
    const ValueId normed = graph.emit1("batch_norm", {y, gamma, beta, mean, var},
                                       {{"eps", 1e-5}, {"momentum", 0.1}, {"running", std::int64_t{0}}}, "norm");
    // In bf16 a ReLU would be open in one and shut in the other, where rounding decides, and no gradients were alike.
    const ValueId out = compute == DType::BF16
                            ? graph.emit1("cast", {normed}, {{"dtype", std::string("f32")}}, "widened")
                            : graph.emit1("relu", {normed}, {}, "relu");
    const ValueId towards = leaf("towards", graph.value(out).shape, 0, 1);
    const ValueId loss = graph.emit1("reduce_sum", {graph.emit1("mul", {out, towards}, {}, "product")}, {}, "loss");
    fuse_norm(graph, std::array{loss});
    if (fuse) {
      const FusedStatistics found = fuse_statistics(graph, std::array{loss}, Device::Cuda);
      fused = found.fused;
    }
    outputs = {out};
    for (const Gradient& g : differentiate(graph, loss, std::array{leaves[0], w, gamma, beta})) {
      outputs.push_back(g.grad);
    }
  }

  // Outputs, and what is left of the running statistics, after three runs: queued, recorded, replayed.
  std::vector<std::vector<float>> run() {
    const auto stream = open_device();
    std::vector<Memory> memory;
    std::vector<Binding> bindings;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      memory.emplace_back(stream, values[i].size() * sizeof(float));
      stream->upload(memory.back().get(), values[i].data(), memory.back().bytes());
      bindings.push_back({leaves[i], memory.back().get()});
    }
    Program program(graph, outputs, bindings, {stream, 1});
    for (int round = 0; round < 3; ++round) program.run({.update_statistics = true});
    not_finite = program.context().status().not_finite != 0;
    std::vector<std::vector<float>> found;
    const auto keep = [&](const TensorView& view) {
      found.emplace_back(static_cast<std::size_t>(view.numel()));
      stream->download(found.back().data(), view.data, view.bytes());
    };
    for (const ValueId output : outputs) keep(program.view(output));
    for (const std::size_t statistic : {4u, 5u}) keep(program.view(leaves[statistic]));
    return found;
  }
  int fused = 0;
  bool not_finite = false;  // was it marked in the last run()
};

// The largest difference by the largest number.
double off(const std::vector<float>& found, const std::vector<float>& expected) {
  double largest = 0, most = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, double{std::abs(expected[i])});
    most = std::max(most, std::isnan(found[i]) ? HUGE_VAL : double{std::abs(found[i] - expected[i])});
  }
  return most / largest;
}

struct BlockCase {
  std::string name;
  DType compute;
  std::int64_t kernel;
  float centre;
  double tolerance;
  friend std::ostream& operator<<(std::ostream& stream, const BlockCase& of) { return stream << of.name; }
};

class FusedStatisticsOf : public testing::TestWithParam<BlockCase> {};

TEST_P(FusedStatisticsOf, ABlockAreThoseOfThePlainOne) {
  const auto& [name, compute, kernel, centre, tolerance] = GetParam();
  in_every_order([&] {
    Block plain(compute, kernel, centre, false), fused(compute, kernel, centre, true);
    if (kEmulated) {
      EXPECT_EQ(fused.fused, 1);
    } else if (fused.fused == 0) {
      GTEST_SKIP() << "cuDNN has no plan with sums for it";
    }
    const auto expected = plain.run(), found = fused.run();
    EXPECT_FALSE(fused.not_finite);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t k = 0; k < found.size(); ++k) EXPECT_LE(off(found[k], expected[k]), tolerance) << "value " << k;
    EXPECT_GT(expected[5][0], 0.0f) << "running statistics moved";
  });
}

// A mean of some 20 deviations costs the variance 9 of the 24 bits that f32 sums have.
INSTANTIATE_TEST_SUITE_P(Blocks, FusedStatisticsOf,
                         testing::Values(BlockCase{"f32", DType::F32, 3, 0, 1e-5},
                                         BlockCase{"f32_pointwise", DType::F32, 1, 0.5f, 1e-5},
                                         BlockCase{"f32_far_mean", DType::F32, 1, 5, 1e-3},
                                         BlockCase{"bf16", DType::BF16, 3, 0, 0.02},
                                         BlockCase{"bf16_pointwise", DType::BF16, 1, 0.5f, 0.02}),
                         [](const auto& at) { return at.param.name; });

// Channels that give one number everywhere have no variance; what is left of their sums must not be its square root's trouble.
TEST(FusedStatistics, OfAConstantChannelAreFinite) {
  in_every_order([&] {
    Block fused(DType::F32, 1, 3, true);
    fused.values[0].assign(fused.values[0].size(), 3.7f);
    for (const auto& value : fused.run()) {
      for (const float number : value) ASSERT_TRUE(std::isfinite(number));
    }
  });
}

// Squares that are too large for f32.
TEST(FusedStatistics, ThatAreNotFiniteAreMarked) {
  in_every_order([&] {
    Block fused(DType::F32, 1, 3, true);
    fused.values[0].assign(fused.values[0].size(), 1e20f);
    fused.run();
    EXPECT_TRUE(fused.not_finite);
  });
}

#if defined(WINNOW_EMULATED)
FusedStatistics of_trial(const char* setting, ProgramCache& programs) {
  SmallTrial trial("resnet20", {{"name", "dense"}},
                   {{"batch", "4"}, {"eval_batch", "10"}, {"fuse_statistics", setting}},
                   {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "32"}, {"test_examples", "10"}});
  TrainJob job = trial.job();
  job.programs = &programs;
  Trainer trainer(job);
  return trainer.fused_statistics();
}

// The stand-in has no plan with sums for the two convolutions of ResNet-20 with a stride. A worker's programs are of one way.
TEST(FusedStatistics, ATrialSaysForHowManyItHasThem) {
  emulator::reset();
  ProgramCache programs(open_device());
  for (int round = 0; round < 2; ++round) {
    const FusedStatistics on = of_trial("true", programs), off = of_trial("false", programs);
    EXPECT_EQ(on.fused, 17);
    EXPECT_EQ(on.norms, 19);
    EXPECT_EQ(off.fused, 0);
    EXPECT_EQ(off.norms, 0) << "nobody asked";
  }
}

TEST(FusedStatistics, AreInTheProvenanceAndNotInTheName) {
  emulator::reset();
  const auto run = [](const char* way) {
    const std::string train = "epochs: 2it, batch: 4, lr: 0.01, precision: f32, fuse_statistics: ";
    const auto self = make_self();
    RunTrialOptions options;
    options.gpu = 0;
    const TrialSpec spec = spec_of("{name: dense}", train + way, "", "resnet20", 8);
    TrialResult result;
    std::thread([&] { result = run_trial(spec, *self, options); }).join();  // keeps its programs until it ends
    return result;
  };
  const TrialResult on = run("true"), off = run("false");
  EXPECT_EQ(on.reason, "");
  EXPECT_EQ(on.provenance.at("statistics.fused"), "17 of 19");
  EXPECT_FALSE(off.provenance.contains("statistics.fused"));
  EXPECT_EQ(on.spec.name(), off.spec.name());
  EXPECT_NEAR(on.summary.at("final.test_loss"), off.summary.at("final.test_loss"), 1e-3);
}
#endif

}  // namespace
}  // namespace winnow::test
