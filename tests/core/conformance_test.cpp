// Every op and every example of it, from the registry: a new op is tested without a line here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "core/error.h"
#include "kernels/processor.h"
#include "kernels/rng.h"
#include "tests/core/op_trial.h"

namespace winnow {
namespace {

using test::numbers_of;
using test::OpCase;
using test::OpTrial;
using test::values_of;
using test::Variant;

// Their inner loops belong to the vendor library, which may split sums by thread.
bool is_vendor(const std::string& op) { return op.starts_with("conv2d") || op.starts_with("linear"); }

RunFeed feed() {
  RunFeed c;
  c.seed = 17;
  c.step = 5;
  c.learning_rate = 0.1;
  c.update = 3;
  c.update_statistics = false;
  return c;
}

class OpConformance : public testing::TestWithParam<OpCase> {
 protected:
  const OpDef& def() const { return find_op(GetParam().op); }
  const OpExample& example() const { return GetParam().example(); }
  bool has_gradient() const { return def().reverse && example().gradient != OpExample::Gradient::None; }
  testing::ScopedTrace trace_{__FILE__, __LINE__,
                              "op " + GetParam().op + ", example '" + GetParam().example().label + "'"};
};

// Those with a gradient, those that take bf16, those whose kernel is not a vendor's, and those with real attributes.
class OpGradient : public OpConformance {};
class OpInBf16 : public OpConformance {};
class OwnKernel : public OpConformance {};
class OpWithReals : public OpConformance {};

std::vector<std::byte> bytes_of(const TensorView& view) {
  const auto* first = static_cast<const std::byte*>(view.data);
  return {first, first + view.bytes()};
}

TEST_P(OpConformance, WritesEveryOutputElementAndNothingElse) {
  constexpr std::size_t kGuard = 256;
  OpTrial trial(GetParam());
  const std::vector<ValueId> outputs = trial.node().out;
  std::vector<std::vector<std::byte>> results[2];
  for (const int round : {0, 1}) {
    const auto fill = round == 0 ? std::byte{0xff} : std::byte{0};
    Program program = trial.compile(outputs, 1);
    std::vector<HostBlock> blocks;
    for (const ValueId id : outputs) {
      const std::size_t bytes = program.view(id).bytes() + 2 * kGuard;
      blocks.push_back(allocate_host(bytes));
      std::fill_n(blocks.back().get(), bytes, fill);
      program.bind(id, blocks.back().get() + kGuard);
    }
    program.run(feed());
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const TensorView view = program.view(outputs[k]);
      results[round].push_back(bytes_of(view));
      const std::byte* block = blocks[k].get();
      const auto intact = [&](std::byte b) { return b == fill; };
      EXPECT_TRUE(std::all_of(block, block + kGuard, intact)) << "output " << k << ": wrote before its memory";
      const std::byte* end = block + kGuard + view.bytes();
      EXPECT_TRUE(std::all_of(end, end + kGuard, intact)) << "output " << k << ": wrote behind its memory";
    }
  }
  EXPECT_EQ(results[0], results[1]) << "an element keeps what its memory held before";
}

TEST_P(OpGradient, MatchesFiniteDifferences) {
  OpTrial trial(GetParam());
  ASSERT_TRUE(trial.differentiate_functional());
  std::vector<ValueId> gradients;
  for (const std::size_t i : trial.differentiable()) {
    ASSERT_NE(trial.gradient(i), kNoValue) << "input " << i << " is listed as differentiable";
    gradients.push_back(trial.gradient(i));
  }
  Program backward = trial.compile(gradients, 1);
  backward.run(feed());
  for (const ValueId id : gradients) {
    for (const double g : values_of(backward.view(id))) ASSERT_TRUE(std::isfinite(g));
  }
  if (example().gradient == OpExample::Gradient::Surrogate) return;  // not the derivative by intention

  Program forward = trial.compile(trial.functional_outputs(), 1);
  double magnitude = 0;
  forward.run(feed());
  const double base = trial.functional(forward, &magnitude);
  const double h = (example().high - example().low) / 256;
  const double noise = 4 * std::ldexp(magnitude, -24) / h;
  constexpr std::int64_t kSamples = 48;
  std::int64_t checked = 0, tried = 0;
  for (const std::size_t i : trial.differentiable()) {
    const std::vector<double> gradient = values_of(backward.view(trial.gradient(i)));
    const auto [low, high] = std::minmax_element(gradient.begin(), gradient.end());
    const double scale = std::max(std::abs(*low), std::abs(*high));
    Tensor& input = trial.input(i);
    const std::int64_t n = input.numel(), samples = std::min(n, kSamples);
    for (std::int64_t s = 0; s < samples; ++s) {
      const std::int64_t at = s * n / samples;
      float& x = input.as<float>()[at];
      const float start = x;
      const auto rise = [&](double step) {  // of the functional, over a step that f32 can take
        x = static_cast<float>(static_cast<double>(start) + step);
        const double taken = static_cast<double>(x) - static_cast<double>(start);
        forward.run(feed());
        x = start;
        return (trial.functional(forward) - base) / taken;
      };
      const double left = rise(-h), right = rise(h), far_left = rise(-2 * h), far_right = rise(2 * h);
      const double narrow = (left + right) / 2, wide = (far_left + far_right) / 2;
      ++tried;
      // Next to a kink (relu, max) there is no derivative to compare with. One inside the steps
      // makes narrow and wide differ; one at the point itself bends by the same angle however small the step.
      const double slack = example().tolerance * scale / 2 + noise;
      const double bend = std::abs(right - left), far_bend = std::abs(far_right - far_left);
      if (std::abs(narrow - wide) > slack || (bend > slack && bend > 0.75 * far_bend)) continue;
      ++checked;
      const double expected = (4 * narrow - wide) / 3;  // fourth order
      EXPECT_NEAR(gradient[static_cast<std::size_t>(at)], expected, example().tolerance * scale + noise)
          << "input " << i << ", element " << at;
    }
  }
  EXPECT_GE(checked, (tried + 1) / 2) << "too few points at which the op is smooth";
}

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double distance = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    distance += (a[i] - b[i]) * (a[i] - b[i]);
    norm += a[i] * a[i];
  }
  return std::sqrt(distance / (norm + 1e-12));
}

TEST_P(OpInBf16, AgreesWithF32) {
  constexpr double kTolerance = 0.015;  // a few roundings to eight bits
  OpTrial exact(GetParam(), Variant::Rounded), narrow(GetParam(), Variant::Bf16);
  Program exact_forward = exact.compile(exact.node().out, 1), narrow_forward = narrow.compile(narrow.node().out, 1);
  exact_forward.run(feed());
  narrow_forward.run(feed());
  for (std::size_t k = 0; k < exact.node().out.size(); ++k) {
    const TensorView a = exact_forward.view(exact.node().out[k]), b = narrow_forward.view(narrow.node().out[k]);
    if (a.dtype != DType::F32 && a.dtype != DType::BF16) continue;
    EXPECT_LT(relative_distance(values_of(a), values_of(b)), kTolerance) << "output " << k;
  }
  if (!has_gradient() || !exact.differentiate_functional()) return;
  ASSERT_TRUE(narrow.differentiate_functional());
  for (const std::size_t i : exact.differentiable()) {
    Program a = exact.compile({exact.gradient(i)}, 1), b = narrow.compile({narrow.gradient(i)}, 1);
    a.run(feed());
    b.run(feed());
    EXPECT_LT(relative_distance(values_of(a.view(exact.gradient(i))), values_of(b.view(narrow.gradient(i)))),
              kTolerance)
        << "gradient of input " << i;
  }
}

TEST_P(OwnKernel, ThreadCountDoesNotChangeABit) {
  // As it is, and with enough rows that every kernel splits its work.
  const std::int64_t elements = example().in.empty() ? 1 : std::max<std::int64_t>(1, example().in[0].shape.numel());
  for (const std::int64_t rows : {std::int64_t{1}, std::max<std::int64_t>(2, (1 << 17) / elements)}) {
    std::optional<OpTrial> trial;
    try {
      trial.emplace(GetParam(), Variant::Plain, rows);
    } catch (const Error&) {
      ASSERT_GT(rows, 1) << "an example must fit its op";
      continue;  // the attributes fix the rows
    }
    std::vector<ValueId> values = trial->node().out;
    if (has_gradient() && trial->differentiate_functional()) {
      for (const std::size_t i : trial->differentiable()) values.push_back(trial->gradient(i));
    }
    Program one = trial->compile(values, 1), four = trial->compile(values, 4);
    one.run(feed());
    four.run(feed());
    for (std::size_t k = 0; k < values.size(); ++k) {
      EXPECT_EQ(bytes_of(one.view(values[k])), bytes_of(four.view(values[k]))) << "value " << k << ", rows x " << rows;
    }
  }
}

TEST_P(OpConformance, RepeatsBitForBit) {
  OpTrial trial(GetParam());
  std::vector<ValueId> values = trial.node().out;
  if (has_gradient() && trial.differentiate_functional()) {
    for (const std::size_t i : trial.differentiable()) values.push_back(trial.gradient(i));
  }
  Program program = trial.compile(values, 1);
  program.run(feed());
  std::vector<std::vector<std::byte>> first;
  for (const ValueId id : values) first.push_back(bytes_of(program.view(id)));
  program.run(feed());
  for (std::size_t k = 0; k < values.size(); ++k)
    EXPECT_EQ(first[k], bytes_of(program.view(values[k]))) << "value " << k;
}

bool has_reals(const OpCase& c) { return !OpTrial(c).node().attrs.reals().empty(); }

// A program that was compiled with other numbers gives what one compiled with these gives, gradients too.
TEST_P(OpWithReals, ReadsRealAttributesAsItRuns) {
  OpTrial trial(GetParam());
  std::vector<ValueId> values = trial.node().out;
  if (has_gradient() && trial.differentiate_functional()) {
    for (const std::size_t i : trial.differentiable()) values.push_back(trial.gradient(i));
  }
  const auto results = [&](Program& program) {
    program.run(feed());
    std::vector<std::vector<std::byte>> all;
    for (const ValueId id : values) all.push_back(bytes_of(program.view(id)));
    return all;
  };
  Program program = trial.compile(values, 1);
  const auto before = results(program);
  for (NodeId i = 0; i < trial.graph().node_count(); ++i) {
    Attrs& attrs = trial.graph().node(i).attrs;
    const Attrs old = attrs;
    for (const auto& [name, value] : old.reals()) attrs.set(std::string(name), value == 0 ? 0.25 : value / 2);
  }
  Program fresh = trial.compile(values, 1);
  program.set_reals(trial.graph());
  const auto now = results(program);
  EXPECT_EQ(now, results(fresh));
  EXPECT_NE(now, before) << "its real attributes change nothing";
}

// The example with its gradients, run with one input element replaced.
class Replacing {
 public:
  Replacing(const OpCase& op_case, Variant variant, bool gradients) : trial_(op_case, variant) {
    values_ = trial_.node().out;
    outputs_ = values_.size();
    if (gradients && trial_.differentiate_functional()) {
      for (const std::size_t i : trial_.differentiable()) values_.push_back(trial_.gradient(i));
    }
    program_.emplace(trial_.compile(values_, 1));
  }
  using Results = std::vector<std::vector<double>>;
  std::size_t input_count() const { return trial_.input_count(); }
  std::size_t outputs() const { return outputs_; }  // of the op itself, before the gradients
  TensorView input(std::size_t i) { return trial_.input(i).view(); }
  DType type(std::size_t value) const { return program_->view(values_[value]).dtype; }

  Results with(std::size_t i, std::int64_t at, double x) {
    const TensorView view = input(i);
    const auto set = [&](double value) {
      if (view.dtype == DType::BF16) view.as<bf16>()[at] = from_float<bf16>(static_cast<float>(value));
      if (view.dtype == DType::F32) view.as<float>()[at] = static_cast<float>(value);
    };
    const double before = values_of(view)[static_cast<std::size_t>(at)];
    set(x);
    RunContext(program_->context()).set_status({});
    program_->run(feed());
    set(before);
    Results results;
    for (const ValueId id : values_) results.push_back(numbers_of(program_->view(id)));
    return results;
  }

 private:
  OpTrial trial_;
  std::vector<ValueId> values_;
  std::size_t outputs_ = 0;
  std::optional<Program> program_;
};

bool takes_bf16(const OpCase& c) {
  const OpExample& example = c.example();
  return example.bf16 && !example.in.empty() && example.in[0].dtype == DType::F32;
}

bool any_nan(const Replacing::Results& results, std::size_t outputs) {
  return std::any_of(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(outputs), [](const auto& values) {
    return std::any_of(values.begin(), values.end(), [](double y) { return std::isnan(y); });
  });
}

// A result that x can change is NaN where x is NaN, or what it is where x is infinite (a choice by size, in which
// NaN counts as the largest); one that no x can change may stay. Where the op itself gives NaN it is seen: integers
// are free then, and so are gradients, since NaN opens the gate of a ReLU.
void expect_nan_stays(const Replacing::Results& nan, const Replacing::Results& infinite,
                      const std::vector<Replacing::Results>& ordinary, const Replacing& trial) {
  const bool seen = any_nan(nan, trial.outputs());
  for (std::size_t k = 0; k < nan.size(); ++k) {
    const bool number = trial.type(k) == DType::F32 || trial.type(k) == DType::BF16;
    if (seen && (!number || k >= trial.outputs())) continue;
    for (std::size_t j = 0; j < nan[k].size(); ++j) {
      if (std::isnan(nan[k][j]) || nan[k][j] == infinite[k][j]) continue;
      for (const Replacing::Results& results : ordinary) {
        if (std::isnan(results[k][j])) continue;
        EXPECT_EQ(nan[k][j], results[k][j]) << "value " << k << ", element " << j << " came out as a number";
      }
    }
  }
}

// Infinity gives something infinite or NaN, or the limit of ever larger numbers. Where the op itself gives NaN,
// its gradients are free: NaN opens the gate of a ReLU.
void expect_limit(const Replacing::Results& infinite, const Replacing::Results& large, std::size_t outputs) {
  if (any_nan(infinite, outputs)) return;
  for (std::size_t k = 0; k < infinite.size(); ++k) {
    for (std::size_t j = 0; j < infinite[k].size(); ++j) {
      if (!std::isfinite(infinite[k][j]) || !std::isfinite(large[k][j])) continue;
      EXPECT_NEAR(infinite[k][j], large[k][j], 1e-3 * std::max(1.0, std::abs(large[k][j])))
          << "value " << k << ", element " << j;
    }
  }
}

TEST_P(OpConformance, NaNAndInfinityDoNotComeOutAsOrdinaryNumbers) {
  constexpr std::int64_t kSamples = 6;
  std::vector<Variant> variants{Variant::Plain};
  if (takes_bf16(GetParam()) && (!is_vendor(GetParam().op) || processor_has_bf16())) variants.push_back(Variant::Bf16);
  for (const Variant variant : variants) {
    Replacing trial(GetParam(), variant, has_gradient());
    for (std::size_t i = 0; i < trial.input_count(); ++i) {
      const TensorView input = trial.input(i);
      if (input.dtype != DType::F32 && input.dtype != DType::BF16) continue;
      const std::int64_t n = input.numel(), samples = std::min(n, kSamples);
      for (std::int64_t s = 0; s < samples; ++s) {
        const std::int64_t at = s * n / samples;
        SCOPED_TRACE(fmt::format("input {} ({}), element {}", i, name_of(input.dtype), at));
        const auto infinite = trial.with(i, at, INFINITY);
        expect_nan_stays(trial.with(i, at, NAN), infinite,
                         {trial.with(i, at, values_of(input)[static_cast<std::size_t>(at)]), trial.with(i, at, 1e3),
                          trial.with(i, at, -1e3)},
                         trial);
        expect_limit(infinite, trial.with(i, at, 1e15), trial.outputs());
      }
    }
  }
}

// Inputs that are almost those of the example.
std::vector<std::vector<ValueInfo>> misfits(const std::vector<ValueInfo>& in) {
  std::vector<std::vector<ValueInfo>> all;
  all.push_back(in);
  all.back().push_back({Shape{3, 5}, DType::F32});
  for (std::size_t i = 0; i < in.size(); ++i) {
    all.emplace_back(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(i));
    const std::vector<std::int64_t> extents(in[i].shape.begin(), in[i].shape.end());
    const auto with = [&](ValueInfo info) {
      all.push_back(in);
      all.back()[i] = std::move(info);
    };
    with({in[i].shape, in[i].dtype == DType::I32 ? DType::F32 : DType::I32});
    std::vector<std::int64_t> other = extents;
    other.push_back(2);
    with({Shape(other), in[i].dtype});
    for (std::size_t axis = 0; axis < extents.size(); ++axis) {
      other = extents;
      ++other[axis];
      with({Shape(other), in[i].dtype});
      other = extents;
      other.erase(other.begin() + static_cast<std::ptrdiff_t>(axis));
      with({Shape(other), in[i].dtype});
    }
  }
  return all;
}

TEST_P(OpConformance, MisfittingInputsAreAnErrorThatNamesTheNode) {
  std::size_t refused = 0;
  for (const std::vector<ValueInfo>& infos : misfits(example().in)) {
    Graph graph;
    std::vector<ValueId> in;
    for (const ValueInfo& info : infos) in.push_back(graph.input("x", info.shape, info.dtype));
    try {
      graph.emit(GetParam().op, in, example().attrs, "stage1.misfit");
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(std::string(error.what()).find("'stage1.misfit'"), std::string::npos) << error.what();
    }  // any other exception fails the test
  }
  EXPECT_GT(refused, 0u);
}

std::string name_of_case(const testing::TestParamInfo<OpCase>& info) {
  return info.param.op + "_" + std::to_string(info.param.index);
}

template <class Predicate>
auto cases_where(Predicate holds) {
  std::vector<OpCase> cases;
  for (const OpCase& op_case : test::all_op_cases()) {
    if (holds(op_case)) cases.push_back(op_case);
  }
  return testing::ValuesIn(cases);
}
bool has_gradient(const OpCase& c) {
  if (!find_op(c.op).reverse || c.example().gradient == OpExample::Gradient::None) return false;
  return OpTrial(c).differentiate_functional();
}
INSTANTIATE_TEST_SUITE_P(Ops, OpConformance, testing::ValuesIn(test::all_op_cases()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Ops, OpGradient, cases_where(has_gradient), name_of_case);
INSTANTIATE_TEST_SUITE_P(Ops, OpInBf16, cases_where(takes_bf16), name_of_case);
INSTANTIATE_TEST_SUITE_P(Ops, OpWithReals, cases_where(has_reals), name_of_case);
INSTANTIATE_TEST_SUITE_P(Ops, OwnKernel, cases_where([](const OpCase& c) { return !is_vendor(c.op); }), name_of_case);

// Ops without an example of their own must be reached through the reverse rule of an op that has one.
TEST(OpConformanceCoverage, EveryOpWithAKernelIsReached) {
  std::set<std::string> reached;
  for (const OpCase& op_case : test::all_op_cases()) {
    reached.insert(op_case.op);
    if (!find_op(op_case.op).reverse || op_case.example().gradient == OpExample::Gradient::None) continue;
    OpTrial trial(op_case);
    if (!trial.differentiate_functional()) continue;
    for (const Node& node : trial.graph().nodes()) reached.insert(node.op);
  }
  for (const std::string& op : op_names()) {
    if (op.starts_with("test_of_")) continue;  // of program_test.cpp, where it has run before
    EXPECT_TRUE(!find_op(op).kernel.on(Device::Cpu) || reached.contains(op))
        << "op '" << op << "' has no example and no op leads to it";
  }
}

}  // namespace
}  // namespace winnow
