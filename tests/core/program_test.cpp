#include "core/program.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/autodiff.h"
#include "core/error.h"
#include "kernels/rng.h"
#include "tests/core/allocation_count.h"
#include "tests/core/host_stream.h"
#include "tests/core/run_graph.h"

namespace winnow {
namespace {

using test::Bench;
using Floats = std::vector<float>;

Floats floats(const TensorView& view) {
  const auto span = view.span<float>();
  return {span.begin(), span.end()};
}

// A random graph of elementwise ops over tensors of one shape; in-place ops, chains and shared values all occur.
struct RandomGraph {
  Bench bench;
  std::vector<ValueId> values;

  explicit RandomGraph(std::uint64_t seed) {
    const RngKey key{seed, stream_id("random_graph"), 0};
    std::uint64_t draw = 0;
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(below(key, draw++, n)); };
    for (int i = 0; i < 3; ++i) {
      Floats start(40);
      for (float& x : start) x = 2 * uniform_at(key, 1000 + draw++) - 1;
      values.push_back(bench.leaf("leaf" + std::to_string(i), {8, 5}, start));
    }
    const std::size_t nodes = 5 + pick(25);
    for (std::size_t i = 0; i < nodes; ++i) {
      // Recent values are likelier, so that chains with a single reader occur.
      const auto any = [&] { return values[pick(2) == 0 ? pick(values.size()) : values.size() - 1]; };
      const ValueId a = any(), b = any();
      switch (pick(4)) {
        case 0:
          values.push_back(bench.graph.emit1("relu", {a}));
          break;
        case 1:
          values.push_back(bench.graph.emit1("add", {a, b}));
          break;
        case 2:
          values.push_back(bench.graph.emit1("mul", {a, b}));
          break;
        default:
          values.push_back(bench.graph.emit1("dropout", {a}, {{"p", 0.25}}, "drop" + std::to_string(i)));
      }
    }
  }
};

TEST(Program, SharingMemoryNeverChangesAResult) {
  std::size_t planned = 0, apart = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomGraph random(seed);
    const RngKey key{seed, stream_id("outputs"), 0};
    // With every value an output, no two may share memory: that is the reference.
    Program reference = random.bench.compile(random.values);
    reference.run(random.bench.context);
    std::vector<ValueId> outputs{random.values.back(), random.values[below(key, 0, random.values.size())]};
    Program program = random.bench.compile(outputs);
    program.run(random.bench.context);
    for (const ValueId id : outputs) ASSERT_EQ(floats(program.view(id)), floats(reference.view(id))) << "seed " << seed;
    planned += program.arena_bytes();
    apart += reference.arena_bytes();
  }
  EXPECT_LT(2 * planned, apart) << "the plan should share memory";
}

TEST(Program, ALeafIsNeverOverwritten) {
  Bench bench;
  const ValueId x = bench.leaf("x", {4}, {-1, 2, -3, 4});
  const ValueId y = bench.graph.emit1("relu", {x});
  EXPECT_EQ(bench.eval(y), (Floats{0, 2, 0, 4}));
  EXPECT_EQ(floats(bench.leaves.at(x).view()), (Floats{-1, 2, -3, 4}));
}

TEST(Program, InPlaceOnlyWhereNothingReadsTheInputLater) {
  Bench bench;
  const ValueId x = bench.leaf("x", {4}, {-1, 2, -3, 4});
  const ValueId doubled = bench.graph.emit1("add", {x, x});
  const ValueId clipped = bench.graph.emit1("relu", {doubled});
  const ValueId sum = bench.graph.emit1("add", {clipped, doubled});
  EXPECT_EQ(bench.eval(sum), (Floats{-2, 8, -6, 16})) << "relu must not clip `doubled` itself";

  Program chain = bench.compile({clipped});
  EXPECT_EQ(chain.view(clipped).data, chain.view(doubled).data) << "nothing reads `doubled` later here";
  Program both = bench.compile({clipped, doubled});
  EXPECT_NE(both.view(clipped).data, both.view(doubled).data) << "`doubled` is an output";
}

TEST(Program, AnInputGivenTwiceIsNotReplacedInPlace) {
  Bench bench;
  const ValueId x = bench.leaf("x", {3}, {1, 2, 3});
  const ValueId y = bench.graph.emit1("relu", {x});
  const ValueId z = bench.graph.emit1("mul", {y, y});
  Program program = bench.compile({z});
  EXPECT_NE(program.view(z).data, program.view(y).data);
}

TEST(Program, BindsLeavesAndOutputsAtRunTime) {
  Bench bench;
  const ValueId x = bench.leaf("x", {3}, {1, 2, 3});
  const ValueId y = bench.graph.emit1("add", {x, x});
  Program program = bench.compile({y});
  Floats in{10, 20, 30}, out(3);
  program.bind(x, in.data());
  program.bind(y, out.data());
  program.run(bench.context);
  EXPECT_EQ(out, (Floats{20, 40, 60}));
  EXPECT_EQ(program.view(y).data, out.data());
}

TEST(Program, AnUnboundLeafIsNamed) {
  Graph graph;
  const ValueId x = graph.input("images", {3});
  const ValueId y = graph.emit1("relu", {x}, {}, "first");
  try {
    Program program(graph, std::span(&y, 1), {}, 1);
    FAIL() << "must not compile";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'images'"), std::string::npos) << error.what();
  }
}

TEST(Program, WatchReportsEachValueOnceInTheOrderOfCompletion) {
  Bench bench;
  const ValueId x = bench.leaf("x", {2}, {1, 2});
  const ValueId a = bench.graph.emit1("add", {x, x}), b = bench.graph.emit1("mul", {a, x}),
                c = bench.graph.emit1("relu", {b});
  Program program = bench.compile({a, b, c});
  std::vector<ValueId> seen;
  std::vector<Floats> contents;
  const ValueId watched[] = {c, a};
  program.watch(watched, [&](ValueId id) {
    seen.push_back(id);
    contents.push_back(floats(program.view(id)));
  });
  program.run(bench.context);
  EXPECT_EQ(seen, (std::vector<ValueId>{a, c}));
  EXPECT_EQ(contents[0], (Floats{2, 4})) << "final when reported";
  EXPECT_EQ(contents[1], (Floats{2, 8}));
}

TEST(Program, ProfileNamesEveryNodeAndCountsMacs) {
  Bench bench;
  const ValueId x = bench.leaf("x", {4, 6}), w = bench.leaf("w", {3, 6});
  const ValueId y = bench.graph.emit1("linear", {x, w, kNoValue}, {}, "fc");
  Program program = bench.compile({y});
  program.profile(true);
  program.run(bench.context);
  ASSERT_EQ(program.times().size(), 1u);
  EXPECT_EQ(program.times()[0].name, "fc");
  EXPECT_EQ(program.times()[0].macs, 4 * 6 * 3);
  EXPECT_EQ(program.macs(), 4 * 6 * 3);
  EXPECT_GT(program.times()[0].seconds, 0);
}

class NoKernel final : public Kernel {
 public:
  void run(const KernelCall&) override {}
};

std::string refusal(const Graph& graph, ValueId output, std::vector<Binding> bindings, RunContext context) {
  try {
    Program(graph, std::vector{output}, bindings, std::move(context));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Program, ANodeWithoutAKernelForItsDeviceIsAnErrorThatNamesBoth) {
  const auto define = [](const char* name, KernelTable kernels) {
    define_op({.name = name,
               .infer = [](std::span<const ValueInfo> in, const Attrs&) { return std::vector{in[0]}; },
               .kernel = std::move(kernels)});
  };
  const KernelMaker none = [](const KernelSpec&) { return std::unique_ptr<Kernel>(new NoKernel); };
  define("test_of_cpu_only", {.cpu = none});
  define("test_of_cuda_only", {.cuda = none});
  Bench bench;
  const ValueId x = bench.leaf("x", {4}), sum = bench.graph.emit1("add", {x, x}, {}, "sum");
  const ValueId on_cpu = bench.graph.emit1("test_of_cpu_only", {sum}, {}, "first");
  const ValueId on_cuda = bench.graph.emit1("test_of_cuda_only", {sum}, {}, "second");
  const RunContext cuda(std::make_shared<test::HostStream>(Device::Cuda), 1);
  EXPECT_EQ(refusal(bench.graph, on_cpu, bench.bindings(), cuda),
            "node 'first': op 'test_of_cpu_only' has no kernel for CUDA");
  EXPECT_EQ(refusal(bench.graph, on_cpu, bench.bindings(), 1), "");
  EXPECT_EQ(refusal(bench.graph, on_cuda, bench.bindings(), 1),
            "node 'second': op 'test_of_cuda_only' has no kernel for CPU");
  EXPECT_EQ(refusal(bench.graph, on_cuda, bench.bindings(), cuda), "");
}

#if WINNOW_COUNTS_ALLOCATIONS
// A training step of a small network with every op family of the core.
TEST(Program, RunNeverAllocatesOutsideVendorCalls) {
  Bench bench;
  Graph& graph = bench.graph;
  const ValueId x = bench.leaf("x", {8, 8, 8, 3}, Floats(8 * 8 * 8 * 3, 0.25f));
  const ValueId conv = bench.leaf("conv.weight", {16, 3, 3, 3}, Floats(16 * 27, 0.1f));
  const ValueId gamma = bench.leaf("gamma", {16}, Floats(16, 1.0f)), beta = bench.leaf("beta", {16});
  const ValueId mean = bench.leaf("mean", {16}), var = bench.leaf("var", {16}, Floats(16, 1.0f));
  const ValueId fc = bench.leaf("fc.weight", {10, 16}, Floats(160, 0.1f)), bias = bench.leaf("fc.bias", {10});
  const ValueId labels = bench.labels({0, 1, 2, 3, 4, 5, -1, 7});
  for (const char* dtype : {"f32", "bf16"}) {
    ValueId y = graph.emit1("cast", {x}, {{"dtype", std::string(dtype)}}, "cast");
    y = graph.emit1("conv2d", {y, conv, kNoValue},
                    {{"stride", std::int64_t{1}}, {"pad", std::int64_t{1}}, {"groups", std::int64_t{1}}}, "conv");
    y = graph.emit1("batch_norm", {y, gamma, beta, mean, var, kNoValue},
                    {{"eps", 1e-5}, {"momentum", 0.1}, {"running", std::int64_t{0}}, {"relu", std::int64_t{0}}},
                    "norm");
    y = graph.emit1("relu", {y}, {}, "relu");
    y = graph.emit1("max_pool2d", {y},
                    {{"kernel", std::int64_t{2}}, {"stride", std::int64_t{2}}, {"pad", std::int64_t{0}}}, "pool");
    y = graph.emit1("global_avg_pool", {y}, {}, "global");
    y = graph.emit1("dropout", {y}, {{"p", 0.5}}, "drop");
    y = graph.emit1("linear", {y, fc, bias}, {}, "fc");
    const auto loss = graph.emit("softmax_cross_entropy", {y, labels}, {{"label_smoothing", 0.1}}, "loss");
    const ValueId wanted[] = {conv, gamma, beta, fc, bias};
    std::vector<ValueId> outputs = loss;
    for (const Gradient& g : differentiate(graph, loss[0], wanted)) outputs.push_back(g.grad);
    // Two threads: for a region of one thread libgomp allocates its team each time.
    Program program = bench.compile(outputs, 2);
    program.run(bench.context);  // the first run sets up the libraries' own thread state
    // By node, since oneDNN allocates in each of its calls and nothing here can change that.
    std::vector<ValueId> ends;
    for (const Node& node : graph.nodes()) ends.push_back(node.out[0]);
    std::vector<std::size_t> allocated(graph.value_count());
    std::size_t last = 0;
    program.watch(ends, [&](ValueId id) {
      allocated[static_cast<std::size_t>(id)] += test::allocation_count() - last;
      last = test::allocation_count();
    });
    for (int step = 0; step < 3; ++step) {
      last = test::allocation_count();
      program.run(bench.context);
    }
    for (const ValueId id : ends) {
      const Node& node = *graph.producer(id);
      if (node.op.starts_with("conv2d") || node.op.starts_with("linear")) continue;
      EXPECT_EQ(allocated[static_cast<std::size_t>(id)], 0u) << node.op << " in " << dtype;
    }
  }
}
#endif

}  // namespace
}  // namespace winnow
