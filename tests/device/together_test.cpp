// Nodes that run together: fewer launches, and the bits of each alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/memory.h"
#include "core/program.h"
#include "kernels/functors/optimizer_steps.h"
#include "kernels/loops.h"
#include "tests/core/wave.h"
#include "tests/device/emulated.h"

namespace winnow::test {
namespace {

// Steps of many parameters of all sizes, some of them with a mask, written where the weights are.
class Steps {
 public:
  static constexpr std::size_t kParams = 70, kMasked = 5;

  explicit Steps(const RunContext& context) : context_(context) {
    std::vector<Binding> bound;
    std::vector<ValueId> outputs;
    for (std::size_t p = 0; p < kParams; ++p) {
      const auto n = static_cast<std::int64_t>(1 + p * 11);
      const auto phase = static_cast<float>(p);
      const ValueId weight = graph_.input("weight", {n}), grad = graph_.input("grad", {n}),
                    velocity = graph_.input("velocity", {n}), keep = graph_.input("keep", {n}, DType::U8);
      const auto out = graph_.emit("sgd_step", {weight, grad, velocity, keep, kNoValue, kNoValue, kNoValue},
                                   {{"momentum", 0.9}, {"weight_decay", 0.01}}, "step");
      void* const at = filled(wave(n, phase));
      bound.insert(bound.end(), {{weight, at}, {out[0], at}});
      grads_.push_back(reinterpret_cast<float*>(filled(wave(n, phase + 1))));
      bound.push_back({grad, grads_.back()});
      void* const slot = filled(wave(n, phase + 2));
      bound.insert(bound.end(), {{velocity, slot}, {out[1], slot}});
      bound.push_back({keep, p < kMasked ? filled(std::vector<std::uint8_t>(n, p % 2)) : nullptr});
      outputs.insert(outputs.end(), out.begin(), out.end());
      weights_.push_back(out[0]);
    }
    program_.emplace(graph_, outputs, bound, context);
  }
  void run(std::int64_t update) { program_->run({.learning_rate = 0.1, .update = update}); }
  void set_gradient(std::size_t of, float value) { context_.write(grads_.at(of), &value, sizeof value); }
  std::vector<std::vector<float>> weights() const {
    std::vector<std::vector<float>> all;
    for (const ValueId id : weights_) {
      all.emplace_back(static_cast<std::size_t>(program_->view(id).numel()));
      program_->read(id, std::as_writable_bytes(std::span(all.back())));
    }
    return all;
  }
  bool diverged() const { return context_.status().not_finite != 0; }

 private:
  template <class T>
  std::byte* filled(const std::vector<T>& values) {
    memory_.emplace_back(context_.stream(), values.size() * sizeof(T));
    context_.write(memory_.back().get(), values.data(), values.size() * sizeof(T));
    return memory_.back().get();
  }
  RunContext context_;
  Graph graph_;
  std::vector<Memory> memory_;
  std::vector<float*> grads_;
  std::vector<ValueId> weights_;
  std::optional<Program> program_;
};

TEST(RunTogether, StepsOfManyParametersHaveTheBitsOfEachAlone) {
  in_every_order([] {
    Steps on_cpu(RunContext(1)), on_device(RunContext(open_device(), 1));
    for (std::int64_t update = 1; update <= 5; ++update) {  // queued, recorded, replayed
      for (Steps* steps : {&on_cpu, &on_device}) {
        if (update == 4) steps->set_gradient(Steps::kParams - 1, NAN);
        steps->run(update);
      }
      const auto expected = on_cpu.weights(), found = on_device.weights();
      for (std::size_t p = 0; p < Steps::kParams; ++p) {
        const auto same = [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); };
        EXPECT_TRUE(std::ranges::equal(expected[p], found[p], same)) << "parameter " << p << ", update " << update;
      }
      EXPECT_EQ(on_cpu.diverged(), update >= 4);
      EXPECT_EQ(on_device.diverged(), update >= 4) << "the step after the one that found it changes nothing";
    }
  });
}

// s0 and s1 are independent, s2 goes on from s1. Their operands are temporary, so memory that one of them is done with must not
// become another one's result.
struct Ascents {
  Graph graph;
  ValueId a = graph.input("a", {900}), g = graph.input("g", {900}), s = graph.input("s", {1});
  ValueId up(ValueId from) { return graph.emit1("ascend", {from, g, kNoValue, kNoValue, s}, {}, "up"); }
  ValueId x = graph.emit1("relu", {a}, {}, "x"), y = graph.emit1("add", {a, a}, {}, "y");
  ValueId s0 = up(x), s1 = up(y), s2 = up(s1);
  ValueId sum = graph.emit1("add", {s0, s2}, {}, "sum");

  std::vector<float> eval(const RunContext& context) {
    const std::vector<float> values = wave(900, 0.3f), slope = wave(900, 2), scale{0.5f};
    const auto in = [&](const std::vector<float>& of) {
      Memory memory(context.stream(), of.size() * sizeof(float));
      context.write(memory.get(), of.data(), of.size() * sizeof(float));
      return memory;
    };
    const Memory at_a = in(values), at_g = in(slope), at_s = in(scale);
    Program program(graph, std::vector{sum}, std::vector<Binding>{{a, at_a.get()}, {g, at_g.get()}, {s, at_s.get()}},
                    context);
    program.run();
    std::vector<float> found(900);
    program.read(sum, std::as_writable_bytes(std::span(found)));
    return found;
  }
};

TEST(RunTogether, WhatGoesOnFromAnotherWaitsForIt) {
  const std::vector<float> expected = Ascents().eval(RunContext(1));
  in_every_order([&] { EXPECT_EQ(Ascents().eval(RunContext(open_device(), 1)), expected); });
}

#if defined(WINNOW_EMULATED)
TEST(RunTogether, ALaunchHasAsManyStepsAsItsArgumentsHold) {
  emulator::reset();
  Steps steps(RunContext(open_device(), 1));
  steps.run(1);
  static_cast<void>(steps.weights());
  emulator::reset_counts();
  steps.run(2);
  static_cast<void>(steps.weights());
  constexpr std::size_t kAtOnce = kLoopsAtOnce<Masked<SgdStep, false, false>>;
  static_assert(kAtOnce >= 20);
  EXPECT_EQ(emulator::counts(emulator::Within::Graphs).kernels,
            1 + (Steps::kParams - Steps::kMasked + kAtOnce - 1) / kAtOnce);
}

TEST(RunTogether, IndependentNodesOfAnOpAreOneLaunch) {
  emulator::reset();
  Ascents().eval(RunContext(open_device(), 1));
  EXPECT_EQ(emulator::counts(emulator::Within::Direct).kernels, 5u) << "relu, add, two ascents, the third, add";
}
#endif

}  // namespace
}  // namespace winnow::test
