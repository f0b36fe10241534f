// batch_norm, optionally fused with a residual sum and a ReLU, and its gradient.
//   in  x {..., C}, gamma {C}|none, beta {C}|none, running_mean {C}, running_var {C}, residual like
//   x|none, sums {2, C}|none   out y, mean {C}, rstd {C}; y = relu?((x - mean) * rstd * gamma + beta + residual)
//   The sums are those of x and x * x by channel; a kernel may take the statistics from them and need not (fuse_statistics).
// batch_norm_backward: in  dy, x, y|none, gamma|none, beta|none, mean, rstd, (more like dy|none, plus like x|none)
//   out dx, dgamma, dbeta, dresidual where attribute residual is 1. The gradient of y is dy + more; dx has plus added to it.
//   Both are what `add` nodes would give (fuse_gradient_sums).
// attrs: eps, momentum (of PyTorch: the weight of the batch), running (statistics are given), relu.
#include "kernels/cpu/batch_norm.h"

#include "core/double_ops.h"
#include "core/error.h"
#include "core/op.h"
#include "core/ops/batch_norm_functors.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

bool present(Infos in, std::size_t i) { return i < in.size() && in[i].shape.rank() > 0; }

std::vector<ValueInfo> infer_batch_norm_forward(Infos in, const Attrs& attrs) {
  require(in.size() >= 5 && in.size() <= 7,
          "takes x, gamma, beta, running_mean, running_var, residual or none and sums or none");
  const ValueInfo& x = in[0];
  require(x.shape.rank() >= 2 && is_float(x.dtype), "x must be {..., channels} in f32 or bf16");
  const Shape channels{x.shape[-1]};
  for (std::size_t i = 1; i <= 4; ++i) {
    require((i <= 2 && !present(in, i)) || (in[i].shape == channels && in[i].dtype == DType::F32),
            fmt::format("parameters and statistics must be {} in f32", channels.text()));
  }
  require(!present(in, 5) || (in[5].shape == x.shape && in[5].dtype == x.dtype), "the residual must be like x");
  require(!present(in, 6) || (in[6].shape == Shape{2, channels[0]} && in[6].dtype == DType::F32),
          "the sums must be two of each channel in f32");
  require(attrs.real("eps") > 0, "eps must be positive");
  return {{x.shape, x.dtype}, {channels, DType::F32}, {channels, DType::F32}};
}

std::vector<ValueInfo> infer_batch_norm_backward(Infos in, const Attrs& attrs) {
  require(in.size() >= 7 && in.size() <= 9, "takes dy, x, y or none, gamma, beta, mean, rstd, more and plus or none");
  for (std::size_t i = 7; i < in.size(); ++i) {
    require(!present(in, i) || (in[i].shape == in[1].shape && in[i].dtype == in[1].dtype), "summands must be like x");
  }
  const Shape channels{in[0].shape[-1]};
  std::vector<ValueInfo> out{{in[1].shape, in[1].dtype}, {channels, DType::F32}, {channels, DType::F32}};
  if (attrs.integer("residual") != 0) out.push_back({in[1].shape, in[1].dtype});
  return out;
}

void reverse_batch_norm(Reverse& pass) {
  const ValueId dy = pass.out_grad(0);
  if (dy == kNoValue) return;
  const Node& node = pass.node();
  const bool relu = node.attrs.integer("relu", 0) != 0;
  const bool residual = node.in.size() > 5 && node.in[5] != kNoValue;
  const bool gated_residual = relu && residual && pass.wants(5);
  const auto grads = pass.graph().emit(
      "batch_norm_backward",
      {dy, node.in[0], relu && residual ? node.out[0] : kNoValue, node.in[1], node.in[2], node.out[1], node.out[2]},
      {{"running", node.attrs.integer("running", 0)},
       {"relu", std::int64_t{relu}},
       {"residual", std::int64_t{gated_residual}}},
      node.name + "/dx");
  pass.add(0, grads[0]);
  pass.add(1, grads[1]);
  pass.add(2, grads[2]);
  if (residual) pass.add(5, gated_residual ? grads[3] : dy);
}

cpu::BatchNormShape batch_norm_shape(const Shape& x, const Attrs& attrs) {
  return {.rows = x.numel() / x[-1],
          .channels = x[-1],
          .running = attrs.integer("running", 0) != 0,
          .relu = attrs.integer("relu", 0) != 0,
          .eps = 0,
          .momentum = 0};
}

class ForwardKernel final : public Kernel {
 public:
  explicit ForwardKernel(const KernelSpec& spec)
      : shape_(batch_norm_shape(spec.in[0].shape, spec.node.attrs)),
        eps_(spec.real("eps")),
        momentum_(spec.real("momentum")),
        threads_(spec.threads) {}
  std::size_t scratch_bytes() const override { return shape_.scratch_bytes(); }
  void run(const KernelCall& call) override {
    shape_.eps = static_cast<float>(*eps_);
    shape_.momentum = static_cast<float>(*momentum_);
    with_float_type(call.in[0].dtype, [&]<class T>() { run_as<T>(call); });
  }

 private:
  template <class T>
  void run_as(const KernelCall& call) {
    const auto& in = call.in;
    cpu::batch_norm_forward<T>(shape_,
                               {.x = in[0].as<T>(),
                                .residual = in.size() > 5 ? in[5].as<T>() : nullptr,
                                .gamma = in[1].as<float>(),
                                .beta = in[2].as<float>(),
                                .running_mean = in[3].as<float>(),
                                .running_var = in[4].as<float>(),
                                .y = call.out[0].as<T>(),
                                .mean = call.out[1].as<float>(),
                                .rstd = call.out[2].as<float>(),
                                .run = call.exec.run},
                               call.exec.scratch, threads_);
  }
  cpu::BatchNormShape shape_;
  const double *eps_, *momentum_;
  int threads_;
};

class BatchNormBackward final : public Kernel {
 public:
  explicit BatchNormBackward(const KernelSpec& spec)
      : shape_(batch_norm_shape(spec.in[1].shape, spec.node.attrs)), threads_(spec.threads) {}
  std::size_t scratch_bytes() const override { return shape_.scratch_bytes(); }
  void run(const KernelCall& call) override {
    with_float_type(call.in[1].dtype, [&]<class T>() { run_as<T>(call); });
  }

 private:
  template <class T>
  void run_as(const KernelCall& call) {
    const auto &in = call.in, &out = call.out;
    const auto add = [&](const T* a, const T* b) { for_each(call.exec, out[0].numel(), Add<T>{a, b, out[0].as<T>()}); };
    const T *more = in.size() > 7 ? in[7].as<T>() : nullptr, *plus = in.size() > 8 ? in[8].as<T>() : nullptr;
    if (more != nullptr) add(in[0].as<T>(), more);
    cpu::batch_norm_backward<T>(shape_,
                                {.dy = more != nullptr ? out[0].as<T>() : in[0].as<T>(),
                                 .x = in[1].as<T>(),
                                 .y = in[2].as<T>(),
                                 .gamma = in[3].as<float>(),
                                 .beta = in[4].as<float>(),
                                 .mean = in[5].as<float>(),
                                 .rstd = in[6].as<float>(),
                                 .dx = out[0].as<T>(),
                                 .dresidual = out.size() == 4 ? out[3].as<T>() : nullptr,
                                 .dgamma = out[1].as<float>(),
                                 .dbeta = out[2].as<float>()},
                                call.exec.scratch, threads_);
    if (plus != nullptr) add(out[0].as<T>(), plus);
  }
  cpu::BatchNormShape shape_;
  int threads_;
};

template <class K>
std::unique_ptr<Kernel> make_kernel(const KernelSpec& spec) {
  return std::make_unique<K>(spec);
}

OpExample batch_norm_example(std::string label, const Shape& x, bool running, bool relu, bool residual) {
  const Shape channels{x[-1]};
  OpExample e{std::move(label),
              {{x, DType::F32, "x"},
               {channels, DType::F32, "gamma"},
               {channels, DType::F32, "beta"},
               {channels, DType::F32, "running_mean"},
               {channels, DType::F32, "running_var"}}};
  if (residual) e.in.push_back({x, DType::F32, "residual"});
  e.attrs = {{"eps", 1e-2}, {"momentum", 0.1}, {"running", std::int64_t{running}}, {"relu", std::int64_t{relu}}};
  e.differentiable = {0, 1, 2};
  if (residual) e.differentiable.push_back(5);
  e.tolerance = 1e-2;
  if (running) e.low = 0.25;  // running_var is an input here
  return e;
}

}  // namespace

void define_batch_norm() {
  define_op({.name = "batch_norm",
             .in_double = in_double::batch_norm,
             .role = OpRole::Norm,
             .infer = infer_batch_norm_forward,
             .defaults = {{"momentum", 0.1}},
             .reverse = reverse_batch_norm,
             .kernel = {.cpu = make_kernel<ForwardKernel>, .cuda = batch_norm_of_functors},
             .inplace = 0,
             .mixes_examples = true,
             .channels = last_dim_alike(),
             .examples = {batch_norm_example("4 axes, 16 channels", {4, 5, 5, 16}, false, false, false),
                          batch_norm_example("4 axes, 3 channels", {3, 4, 5, 3}, false, false, false),
                          batch_norm_example("2 axes, 20 channels", {9, 20}, false, false, false),
                          batch_norm_example("100 channels and residual", {4, 2, 3, 100}, false, false, true),
                          batch_norm_example("relu", {4, 3, 3, 8}, false, true, false),
                          batch_norm_example("relu and residual", {4, 3, 3, 8}, false, true, true),
                          batch_norm_example("running statistics", {4, 3, 3, 8}, true, false, false)}});
  define_op({.name = "batch_norm_backward",
             .in_double = in_double::batch_norm_backward,
             .infer = infer_batch_norm_backward,
             .kernel = {.cpu = make_kernel<BatchNormBackward>, .cuda = batch_norm_backward_of_functors},
             .inplace = 0});
}

}  // namespace winnow::ops
