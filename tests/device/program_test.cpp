// How a program runs on a device: what is recorded, what a replay reads, and what goes wrong.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/memory.h"
#include "core/passes.h"
#include "core/program.h"
#include "tests/device/emulated.h"

namespace winnow::test {
namespace {

// y = relu(x + b) of a fed leaf x and a bound leaf b.
struct Sum {
  Graph graph;
  ValueId x = graph.input("x", {3}), b = graph.input("b", {3});
  ValueId y = graph.emit1("relu", {graph.emit1("add", {x, b})});
  Program compile(const RunContext& context, const Memory& at) {
    return {graph, std::vector{y}, std::vector<Binding>{{x, nullptr}, {b, at.get()}}, context};
  }
};

using Three = std::array<float, 3>;

Memory filled(const RunContext& context, const Three& values) {
  Memory memory(context.stream(), sizeof values);
  context.stream()->upload(memory.get(), values.data(), sizeof values);
  return memory;
}

Three value_of(const Program& program, ValueId value) {
  Three found;
  program.read(value, std::as_writable_bytes(std::span(found)));
  return found;
}

TEST(DeviceProgram, ReplaysReadWhatIsFedAndWhereLeavesAreBound) {
  in_every_order([] {
    const RunContext context(open_device(), 1);
    Sum sum;
    const Memory one = filled(context, {1, 1, 1}), ten = filled(context, {10, 10, 10});
    Program program = sum.compile(context, one);
    for (int round = 0; round < 4; ++round) {
      for (const auto& [bound, plus] : {std::pair(&one, 1.0f), std::pair(&ten, 10.0f)}) {
        Three x{static_cast<float>(round), -20, 2};
        program.bind(sum.b, bound->get());
        program.feed(sum.x, x.data());
        x = {};  // may change as soon as it was fed
        program.run();
        EXPECT_EQ(value_of(program, sum.y), (Three{static_cast<float>(round) + plus, 0, 2 + plus})) << round;
      }
    }
  });
}

// Behind a ReLU that is part of its convolution: inf - inf, an infinite sum and one below zero.
TEST(DeviceProgram, AReluThatIsPartOfAConvolutionKeepsNaN) {
  in_every_order([] {
    for (const DType type : {DType::F32, DType::BF16}) {
      const RunContext context(open_device(), 1);
      const float infinity = std::numeric_limits<float>::infinity();
      Graph graph;
      const ValueId x = graph.input("x", {1, 1, 3, 1}), w = graph.input("w", {3, 1, 1, 3}), b = graph.input("b", {3});
      const auto cast_to = [&](ValueId value, DType to) {
        return graph.emit1("cast", {value}, {{"dtype", std::string(name_of(to))}});
      };
      const ValueId in = type == DType::F32 ? x : cast_to(x, type);
      const ValueId active = graph.emit1("relu", {graph.emit1("conv2d", {in, w, b})});
      const ValueId y = type == DType::F32 ? graph.emit1("add", {active, active}) : cast_to(active, DType::F32);
      fuse_relu(graph, std::array{y});
      for (const NodeId at : graph.schedule(std::array{y})) ASSERT_NE(graph.nodes()[at].op, "relu");
      const Memory weights(context.stream(), 9 * sizeof(float)), bias = filled(context, {0, 1, 2});
      const float values[9] = {1, -1, 0, 1, 1, 0, -1, -1, 3};
      context.stream()->upload(weights.get(), values, sizeof values);
      Program program(graph, std::vector{y}, std::vector<Binding>{{x, nullptr}, {w, weights.get()}, {b, bias.get()}},
                      context);
      Three fed{infinity, infinity, 1};
      program.feed(x, fed.data());
      program.run();
      const Three found = value_of(program, y);
      EXPECT_TRUE(std::isnan(found[0])) << name_of(type) << ": " << found[0];
      EXPECT_EQ(found[1], infinity) << name_of(type);
      EXPECT_EQ(found[2], 0.0f) << name_of(type);
    }
  });
}

TEST(DeviceProgram, ABadLabelIsSaidOnceAndNamesItsRow) {
  in_every_order([] {
    Graph graph;
    const ValueId logits = graph.input("logits", {2, 3}), labels = graph.input("labels", {2}, DType::I32);
    const std::vector<ValueId> out = graph.emit("softmax_cross_entropy", {logits, labels}, {}, "loss");
    const RunContext context(open_device(), 1);
    Program program(graph, std::vector{out[0]}, std::vector<Binding>{{logits, nullptr}, {labels, nullptr}}, context);
    std::array<float, 6> numbers{};
    std::array<std::int32_t, 2> wrong{0, 7};
    program.feed(logits, numbers.data());
    program.feed(labels, wrong.data());
    program.run();
    try {
      program.check();
      ADD_FAILURE() << "took label 7 of 3 classes";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Input);
    }
    EXPECT_NO_THROW(program.check());
  });
}

#if defined(WINNOW_EMULATED)

// A sum on a new machine that ran once.
struct RunOnce {
  RunOnce() {
    Three x{};
    program.feed(sum.x, x.data());
    program.run();
  }
  RunContext context = (emulator::reset(), RunContext(open_device(), 1));
  Sum sum;
  Memory b = filled(context, {1, 1, 1});
  Program program = sum.compile(context, b);
};

TEST(DeviceProgram, TheSecondRunIsRecordedAndLaterOnesAreOneLaunch) {
  RunOnce once;
  emulator::reset_counts();
  for (int run = 0; run < 3; ++run) once.program.run();
  once.context.stream()->wait();
  EXPECT_EQ(emulator::counts(emulator::Within::Direct).kernels, 0u);
  EXPECT_EQ(emulator::counts(emulator::Within::Direct).graph_launches, 3u);
  EXPECT_EQ(emulator::counts(emulator::Within::Graphs).kernels, 6u) << "add and relu, three times";
  EXPECT_EQ(emulator::counts(emulator::Within::Direct).synchronisations, 1u) << "a run waits for nothing";
}

TEST(DeviceProgram, ADeviceWithoutMemoryIsSaidWithTheBytes) {
  emulator::reset();
  emulator::set_memory_limit(1 << 16);
  const auto stream = open_device();
  try {
    const Memory large(stream, 1 << 20);
    FAIL() << "got a megabyte of 64 KiB";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "GPU 0 is out of memory: 1048576 bytes are wanted, 65536 of 65536 are free");
  }
  EXPECT_NO_THROW(Memory(stream, 1 << 10)) << "others go on";
}

TEST(DeviceProgram, AFaultOfAKernelSurfacesWhereResultsAreRead) {
  {
    RunOnce once;
    emulator::fail_device(0, cudaErrorIllegalAddress);
    EXPECT_THROW(value_of(once.program, once.sum.y), std::runtime_error);
    EXPECT_THROW(once.program.run(), std::runtime_error) << "the fault stays";
  }  // giving back does not throw
  emulator::reset();
}

#endif

}  // namespace
}  // namespace winnow::test
