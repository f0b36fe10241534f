// cuDNN on the emulated machine, behind the seam of kernels/cuda/vendor/convolution_plan.h. fail() makes
// "cudnnBackendFinalize" find no plan, "deserialize" refuse one that was written, and "cudnnBackendExecute" fail to launch.
#include "kernels/cuda/vendor/convolution_plan.h"

#include <algorithm>
#include <cstdio>

#include "kernels/cuda/vendor/errors.h"
#include "kernels/cuda/vendor/handle_pool.h"
#include "tests/emulator/library.h"

namespace winnow::cuda::vendor {

struct ConvolutionPlan::Graph {
  ConvShape s;
  Direction direction;
  DType weights_type;
  int device;
  std::size_t workspace = 0;

  std::size_t of_x() const { return static_cast<std::size_t>(s.batch * s.height * s.width * s.in); }
  std::size_t of_w() const { return static_cast<std::size_t>(s.out * s.kernel_h * s.kernel_w * (s.in / s.groups)); }
  std::size_t of_y() const { return static_cast<std::size_t>(s.batch * s.out_height() * s.out_width() * s.out); }
  std::size_t of_sums() const { return s.sums ? static_cast<std::size_t>(2 * s.out) : 0; }
  void compute(void* x, void* w, void* y, float* sums) const;
  void run(void* x, void* w, void* y, float* sums, void* workspace_at) const;
};

namespace {

// Why there is no plan; null if there is one. cuDNN's engines differ from version to version, and leave out as much.
const char* why_not(const ConvShape& s, Direction direction) {
  if (emulator::injected("cudnnBackendFinalize") != cudaSuccess) return "no engine for this device";
  // GenStats stands in one surface of the fusing engines, which has no groups (cuDNN, "Support Surface 70").
  if (s.sums && (s.groups > 1 || s.stride > 1)) return "no engine for GenStats behind groups or strides";
  if (s.groups > 1 && direction != Direction::Forward) return "gradients of grouped convolutions are not deterministic";
  const bool eights = s.in % 8 == 0 && s.out % 8 == 0;
  return s.dtype == DType::BF16 && s.groups == 1 && !eights ? "tensor cores take channels in eights" : nullptr;
}

}  // namespace

// By definition: what each pixel of y and each tap of the kernel adds to the sums, which are f32.
void ConvolutionPlan::Graph::compute(void* x_at, void* w_at, void* y_at, float* sums_at) const {
  const bool to_y = direction == Direction::Forward, to_x = direction == Direction::BackwardData, to_w = !to_x && !to_y;
  const auto values = [](const void* at, std::size_t count, DType type, bool is_result) {
    return is_result ? std::vector<float>(count) : emulator::floats(at, count, type);
  };
  std::vector<float> x = values(x_at, of_x(), s.dtype, to_x), w = values(w_at, of_w(), weights_type, to_w),
                     y = values(y_at, of_y(), s.dtype, to_y);
  const std::int64_t in = s.in / s.groups, out = s.out / s.groups, taps = s.kernel_h * s.kernel_w;
  const std::int64_t width = s.out_width(), height = s.out_height();
  for (std::int64_t pixel = 0; pixel < s.batch * height * width; ++pixel) {
    const std::int64_t image = pixel / (height * width), row = pixel / width % height, column = pixel % width;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      const std::int64_t at_row = row * s.stride - s.pad + tap / s.kernel_w,
                         at_column = column * s.stride - s.pad + tap % s.kernel_w;
      if (at_row < 0 || at_row >= s.height || at_column < 0 || at_column >= s.width) continue;
      float* from = &x[static_cast<std::size_t>(((image * s.height + at_row) * s.width + at_column) * s.in)];
      for (std::int64_t o = 0; o < s.out; ++o) {
        float *xs = from + o / out * in, *ws = &w[static_cast<std::size_t>((o * taps + tap) * in)];
        float& of = y[static_cast<std::size_t>(pixel * s.out + o)];
        for (std::int64_t c = 0; to_y && c < in; ++c) of += xs[c] * ws[c];
        for (std::int64_t c = 0; to_x && c < in; ++c) xs[c] += of * ws[c];
        for (std::int64_t c = 0; to_w && c < in; ++c) ws[c] += of * xs[c];
      }
    }
  }
  void* const to = to_y ? y_at : to_x ? x_at : w_at;
  const std::vector<float>& sums = to_y ? y : to_x ? x : w;
  for (std::size_t i = 0; i < sums.size(); ++i) emulator::store(to, i, to_w ? weights_type : s.dtype, sums[i]);
  // GenStats: what is summed has not been rounded.
  std::fill_n(sums_at, of_sums(), 0.0f);
  for (std::size_t i = 0, out_all = of_sums() / 2; out_all > 0 && i < y.size(); ++i) {
    sums_at[i % out_all] += y[i];
    sums_at[out_all + i % out_all] += y[i] * y[i];
  }
}

void ConvolutionPlan::Graph::run(void* x, void* w, void* y, float* sums, void* workspace_at) const {
  const auto unit = static_cast<std::size_t>(size_of(s.dtype)),
             of_weight = static_cast<std::size_t>(size_of(weights_type));
  emulator::expect_memory({{"x", x, of_x() * unit, direction == Direction::BackwardData},
                           {"w", w, of_w() * of_weight, direction == Direction::BackwardWeights},
                           {"y", y, of_y() * unit, direction == Direction::Forward},
                           {"sums", sums, of_sums() * sizeof(float), true},
                           {"workspace", workspace_at, workspace, true}},
                          device);
  emulator::poison(workspace_at, workspace);
  compute(x, w, y, sums);
  emulator::poison(workspace_at, workspace);
}

ConvolutionPlan::ConvolutionPlan(const ConvShape& s, Direction direction, std::int64_t workspace_limit) {
  const std::string layer = describe(s, direction);
  bool valid = s.pad >= 0 && s.height + 2 * s.pad >= s.kernel_h && s.width + 2 * s.pad >= s.kernel_w;
  for (const std::int64_t one : {s.batch, s.height, s.width, s.in, s.out, s.kernel_h, s.kernel_w, s.stride, s.groups}) {
    valid = valid && one > 0;
  }
  if (!valid || s.in % s.groups != 0 || s.out % s.groups != 0 || (s.sums && direction != Direction::Forward))
    fail("cudnnBackendFinalize", "CUDNN_STATUS_BAD_PARAM", layer);
  // Gradients of bf16 weights are rounded by some engines: here, by those for large kernels.
  const bool unrounded = direction == Direction::BackwardWeights && s.kernel_h <= 3;
  graph_ = std::make_unique<Graph>(Graph{s, direction, unrounded ? DType::F32 : s.dtype, current_device()});
  graph_->workspace = 1000 + sizeof(float) * graph_->of_w();
  const char* wrong = why_not(s, direction);
  if (graph_->workspace > static_cast<std::size_t>(workspace_limit)) wrong = "it needs more workspace than is allowed";
  if (wrong != nullptr) throw NoPlan("cuDNN: " + std::string(wrong) + " (" + layer + ")");
}

// Its workspace, and the line that says what it is; from which the rest follows.
std::vector<std::uint8_t> ConvolutionPlan::written() const {
  const std::string text = std::to_string(graph_->workspace) +
                           (graph_->weights_type == DType::F32 ? " f32 " : " bf16 ") +
                           describe(graph_->s, graph_->direction);
  return {text.begin(), text.end()};
}

ConvolutionPlan::ConvolutionPlan(const ConvShape& s, Direction direction, std::span<const std::uint8_t> written) {
  const std::string text(written.begin(), written.end());
  char type[8] = {};
  unsigned long workspace = 0;
  const bool read = std::sscanf(text.c_str(), "%lu %7s", &workspace, type) == 2;
  const DType type_of_weights = std::string(type) == "f32" ? DType::F32 : DType::BF16;
  graph_ = std::make_unique<Graph>(Graph{s, direction, type_of_weights, current_device(), workspace});
  const auto again = this->written();
  if (!read || !std::ranges::equal(again, written) || emulator::injected("deserialize") != cudaSuccess) {
    throw NoPlan("cuDNN: CUDNN_STATUS_BAD_PARAM: not such a plan (" + describe(s, direction) + ")");
  }
}

std::string ConvolutionPlan::maker() {
  cudaDeviceProp gpu{};
  if (cudaGetDeviceProperties(&gpu, current_device()) != cudaSuccess) fail("cudaGetDeviceProperties", "no device");
  return std::string("emulated cuDNN, ") + gpu.name + " " + std::to_string(gpu.major) + "." + std::to_string(gpu.minor);
}

ConvolutionPlan::~ConvolutionPlan() = default;

std::size_t ConvolutionPlan::workspace_bytes() const { return graph_->workspace; }
DType ConvolutionPlan::weights_type() const { return graph_->weights_type; }
std::string ConvolutionPlan::name() const { return "emulated cuDNN"; }

void ConvolutionPlan::run(void* stream, void* x, void* w, void* y, void* workspace, float* sums) {
  const Graph& plan = *graph_;
  const auto expect = [&](bool holds, const char* why) {
    if (!holds) fail("cudnnBackendExecute", why, describe(plan.s, plan.direction));
  };
  expect(current_device() == plan.device, "CUDNN_STATUS_BAD_PARAM: the plan is another device's");
  for (const void* at : {x, w, y, workspace}) {
    expect(at != nullptr, "CUDNN_STATUS_BAD_PARAM_NULL_POINTER");
    expect(emulator::is_aligned(at, at == workspace ? 256 : 16), "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER");
  }
  expect(plan.s.sums == (sums != nullptr),
         "CUDNN_STATUS_BAD_PARAM: pointers that are not those of the graph's tensors");
  for (const float* at : {sums, sums == nullptr ? nullptr : sums + plan.s.out}) {
    expect(emulator::is_aligned(at, 16), "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER");
  }
  const auto execute = [plan, x, w, y, sums, workspace] { plan.run(x, w, y, sums, workspace); };
  const cudaError_t error = emulator::enqueue("cudnnBackendExecute", static_cast<cudaStream_t>(stream),
                                              {.name = "cudnnBackendExecute", .run = execute});
  expect(error == cudaSuccess, "CUDNN_STATUS_EXECUTION_FAILED");
}

}  // namespace winnow::cuda::vendor
