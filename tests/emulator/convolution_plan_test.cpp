// The stand-in of cuDNN: values against plain loops, and what it refuses.
#include "kernels/cuda/vendor/convolution_plan.h"

#include <cmath>

#include "tests/emulator/device.h"

namespace winnow::emulator {
namespace {

using cuda::vendor::ConvolutionPlan;
using cuda::vendor::NoPlan;

constexpr std::int64_t kLimit = 1 << 20;
const ConvShape kShape{.batch = 2,
                       .height = 5,
                       .width = 4,
                       .in = 8,
                       .out = 16,
                       .kernel_h = 3,
                       .kernel_w = 2,
                       .stride = 2,
                       .pad = 1,
                       .groups = 1,
                       .dtype = DType::F32,
                       .bias = false};

ConvShape changed(const std::function<void(ConvShape&)>& change) {
  ConvShape shape = kShape;
  change(shape);
  return shape;
}

class Convolutions : public OnEmulator {
 protected:
  struct Operand {
    std::vector<float> values;
    DType type;
    void* at;
    void refresh() {
      if (type == DType::F32) values = read(static_cast<float*>(at), values.size());
      if (type == DType::F32) return;
      const std::vector<bf16> rounded = read(static_cast<bf16*>(at), values.size());
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = to_float(rounded[i]);
    }
  };
  static Operand operand(std::int64_t count, DType type, int seed) {
    Operand made{{}, type, nullptr};
    std::vector<bf16> rounded;
    for (std::int64_t i = 0; i < count; ++i) {
      made.values.push_back(static_cast<float>((i * 31 + seed) % 13) - 6);
      rounded.push_back(from_float<bf16>(made.values.back()));
    }
    made.at = type == DType::F32 ? static_cast<void*>(on_device(made.values)) : on_device(rounded);
    return made;
  }
  // Operands of this plan, and a workspace.
  void make(const ConvShape& s, DType weights) {
    x = operand(s.batch * s.height * s.width * s.in, s.dtype, 1);
    w = operand(s.out * s.kernel_h * s.kernel_w * (s.in / s.groups), weights, 2);
    y = operand(s.batch * s.out_height() * s.out_width() * s.out, s.dtype, 3);
    workspace = on_device<std::byte>(1 << 16);
  }
  // What the result of this direction is, by six loops.
  std::vector<double> by_loops(const ConvShape& s, Direction direction) const {
    std::vector<double> dx(x.values.size()), dw(w.values.size()), dy(y.values.size());
    const std::int64_t in = s.in / s.groups, out = s.out / s.groups;
    for (std::int64_t n = 0; n < s.batch; ++n)
      for (std::int64_t p = 0; p < s.out_height(); ++p)
        for (std::int64_t q = 0; q < s.out_width(); ++q)
          for (std::int64_t k = 0; k < s.out; ++k)
            for (std::int64_t r = 0; r < s.kernel_h; ++r)
              for (std::int64_t t = 0; t < s.kernel_w; ++t)
                for (std::int64_t c = 0; c < in; ++c) {
                  const std::int64_t h = p * s.stride - s.pad + r, v = q * s.stride - s.pad + t;
                  if (h < 0 || v < 0 || h >= s.height || v >= s.width) continue;
                  const auto i = static_cast<std::size_t>(((n * s.height + h) * s.width + v) * s.in + k / out * in + c);
                  const auto j = static_cast<std::size_t>(((k * s.kernel_h + r) * s.kernel_w + t) * in + c);
                  const auto o = static_cast<std::size_t>(((n * s.out_height() + p) * s.out_width() + q) * s.out + k);
                  dy[o] += double{x.values[i]} * w.values[j];
                  dx[i] += double{y.values[o]} * w.values[j];
                  dw[j] += double{y.values[o]} * x.values[i];
                }
    return direction == Direction::Forward ? dy : direction == Direction::BackwardData ? dx : dw;
  }
  Operand x, w, y;
  std::byte* workspace = nullptr;
};

TEST_F(Convolutions, ValuesAreThoseOfPlainLoops) {
  for (const DType type : {DType::F32, DType::BF16}) {
    for (const Direction direction : {Direction::Forward, Direction::BackwardData, Direction::BackwardWeights}) {
      for (const std::int64_t groups : {1, 4}) {
        for (const std::int64_t kernel : {3, 5}) {
          const ConvShape s =
              changed([&](ConvShape& of) { of.dtype = type, of.groups = groups, of.kernel_h = kernel; });
          if (groups > 1 && direction != Direction::Forward) {
            EXPECT_THROW(ConvolutionPlan(s, direction, kLimit), NoPlan);
            continue;
          }
          ConvolutionPlan plan(s, direction, kLimit);
          make(s, plan.weights_type());
          const std::vector<double> right = by_loops(s, direction);
          plan.run(nullptr, x.at, w.at, y.at, workspace);
          Operand& result = direction == Direction::Forward ? y : direction == Direction::BackwardData ? x : w;
          result.refresh();
          for (std::size_t i = 0; i < right.size(); ++i) {
            ASSERT_NEAR(result.values[i], right[i], result.type == DType::F32 ? 0 : std::abs(right[i]) / 256);
          }
          EXPECT_GT(plan.workspace_bytes(), 0u);
          const std::vector<std::byte> left = read(workspace, plan.workspace_bytes());
          EXPECT_EQ(left, std::vector<std::byte>(left.size(), std::byte{0xff}));
        }
      }
    }
  }
  EXPECT_EQ(reports().size(), 0u);
}

// Whole numbers, so that no order of sums matters; in bf16 y is rounded and what is summed is not.
TEST_F(Convolutions, SumsAreThoseOfWhatIsNotRoundedYet) {
  for (const DType type : {DType::F32, DType::BF16}) {
    const ConvShape s = changed([&](ConvShape& of) { of.dtype = type, of.stride = 1, of.sums = true; });
    ConvolutionPlan plan(s, Direction::Forward, kLimit);
    make(s, plan.weights_type());
    const std::vector<double> right = by_loops(s, Direction::Forward);
    float* const sums = on_device(std::vector<float>(32, NAN));
    plan.run(nullptr, x.at, w.at, y.at, workspace, sums);
    y.refresh();
    const std::vector<float> found = read(sums, 32);
    bool rounded = false;
    for (std::size_t c = 0; c < 16; ++c) {
      double sum = 0, squares = 0;
      for (std::size_t i = c; i < right.size(); i += 16) {
        sum += right[i];
        squares += right[i] * right[i];
        rounded = rounded || y.values[i] != static_cast<float>(right[i]);
      }
      EXPECT_EQ(found[c], sum) << "channel " << c;
      EXPECT_EQ(found[16 + c], squares) << "channel " << c;
    }
    EXPECT_EQ(rounded, type == DType::BF16);
  }
  EXPECT_EQ(reports().size(), 0u);
}

TEST_F(Convolutions, NoPlan) {
  const auto none = [](const ConvShape& shape, std::int64_t limit) {
    EXPECT_THROW(ConvolutionPlan(shape, Direction::Forward, limit), NoPlan);
  };
  none(changed([](ConvShape& s) { s.dtype = DType::BF16, s.in = 6; }), kLimit);
  none(kShape, 100);
  none(changed([](ConvShape& s) { s.sums = true; }), kLimit);
  none(changed([](ConvShape& s) { s.sums = true, s.stride = 1, s.groups = 4; }), kLimit);
  fail("cudnnBackendFinalize", 1, cudaErrorNotSupported);
  none(kShape, kLimit);
  EXPECT_NO_THROW(ConvolutionPlan(kShape, Direction::Forward, kLimit));
  for (const ConvShape& wrong :
       {changed([](ConvShape& s) { s.batch = 0; }), changed([](ConvShape& s) { s.groups = 3; }),
        changed([](ConvShape& s) { s.kernel_h = 8; })}) {
    try {
      const ConvolutionPlan plan(wrong, Direction::Forward, kLimit);
      ADD_FAILURE() << "is no convolution";
    } catch (const NoPlan&) {
      ADD_FAILURE() << "a wrong shape is no missing plan";
    } catch (const std::runtime_error& error) {
      EXPECT_NE(std::string(error.what()).find("BAD_PARAM"), std::string::npos);
    }
  }
}

TEST_F(Convolutions, RefusesCalls) {
  set_device_count(2);
  ConvolutionPlan plan(kShape, Direction::Forward, kLimit);
  make(kShape, plan.weights_type());
  cudaSetDevice(1);
  const cudaStream_t foreign = new_stream();
  cudaSetDevice(0);
  const auto moved = [](void* at, int bytes) { return static_cast<std::byte*>(at) + bytes; };
  EXPECT_THROW(plan.run(nullptr, moved(x.at, 8), w.at, y.at, workspace), std::runtime_error);
  EXPECT_THROW(plan.run(nullptr, x.at, moved(w.at, 4), y.at, workspace), std::runtime_error);
  EXPECT_THROW(plan.run(nullptr, x.at, w.at, moved(y.at, 8), workspace), std::runtime_error);
  EXPECT_THROW(plan.run(nullptr, x.at, w.at, y.at, workspace + 128), std::runtime_error);
  EXPECT_THROW(plan.run(nullptr, x.at, w.at, y.at, nullptr), std::runtime_error);
  EXPECT_THROW(plan.run(foreign, x.at, w.at, y.at, workspace), std::runtime_error);
  fail("cudnnBackendExecute", 1, cudaErrorLaunchFailure);
  EXPECT_THROW(plan.run(nullptr, x.at, w.at, y.at, workspace), std::runtime_error);
  cudaSetDevice(1);
  EXPECT_THROW(plan.run(foreign, x.at, w.at, y.at, workspace), std::runtime_error) << "a plan of device 0";
  EXPECT_EQ(pending(), 0u);
}

TEST_F(Convolutions, RefusesSumsThatAreNotThoseOfThePlan) {
  const ConvShape with = changed([](ConvShape& s) { s.sums = true, s.stride = 1; });
  ConvolutionPlan plan(kShape, Direction::Forward, kLimit), summing(with, Direction::Forward, kLimit);
  make(with, summing.weights_type());
  auto* const sums = on_device(std::vector<float>(36));
  EXPECT_THROW(plan.run(nullptr, x.at, w.at, y.at, workspace, sums), std::runtime_error);
  EXPECT_THROW(summing.run(nullptr, x.at, w.at, y.at, workspace), std::runtime_error);
  EXPECT_THROW(summing.run(nullptr, x.at, w.at, y.at, workspace, sums + 1), std::runtime_error);
  EXPECT_NO_THROW(summing.run(nullptr, x.at, w.at, y.at, workspace, sums + 4));
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  summing.run(nullptr, x.at, w.at, y.at, workspace, on_device<float>(31));
  EXPECT_NE(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_NE(first_report().find("sums: not"), std::string::npos) << first_report();
  const auto wrong = [&] { const ConvolutionPlan none(with, Direction::BackwardData, kLimit); };
  EXPECT_THROW(wrong(), std::runtime_error);
}

TEST_F(Convolutions, ReportsMemoryThatIsNotThere) {
  const auto reported = [&](const std::function<void()>& change, const std::string& what) {
    reset();
    ConvolutionPlan plan(kShape, Direction::Forward, kLimit);
    make(kShape, plan.weights_type());
    change();
    plan.run(nullptr, x.at, w.at, y.at, workspace);
    EXPECT_NE(cudaDeviceSynchronize(), cudaSuccess) << what;
    EXPECT_NE(first_report().find(what), std::string::npos) << first_report() << ", not " << what;
  };
  alignas(16) static float host[1024];
  reported([&] { x.at = host; }, "x: not");
  reported([&] { w.at = on_device<float>(w.values.size() - 1); }, "w: not");
  reported([&] { y.at = on_device<float>(y.values.size() - 1); }, "y: not");
  reported([&] { workspace = on_device<std::byte>(1000); }, "workspace: not");
  reported([&] { y.at = x.at; }, "y");
  reported([&] { EXPECT_EQ(cudaFree(x.at), cudaSuccess); }, "x: not");
}

TEST_F(Convolutions, RunInGraphs) {
  ConvolutionPlan plan(kShape, Direction::Forward, kLimit);
  make(kShape, plan.weights_type());
  const cudaStream_t stream = new_stream();
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  plan.run(stream, x.at, w.at, y.at, workspace);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  const std::vector<float> before = y.values;
  y.refresh();
  EXPECT_EQ(y.values, before);
  EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  const std::vector<double> right = by_loops(kShape, Direction::Forward);
  y.refresh();
  EXPECT_EQ(std::vector<double>(y.values.begin(), y.values.end()), right);
}

}  // namespace
}  // namespace winnow::emulator
