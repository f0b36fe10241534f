// soft_threshold: y = sign(w) * max(|w| - t, 0) of a weight w and a threshold t {1}, both f32.
#include "kernels/functors/soft_threshold.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

// dy, y -> dw.
void define_soft_threshold_backward() {
  define_op({
      .name = "soft_threshold_backward",
      .in_double = in_double::soft_threshold_backward,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 2); },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   for_each(
                       call.exec, call.out[0].numel(),
                       SoftThresholdBackward{call.in[0].as<float>(), call.in[1].as<float>(), call.out[0].as<float>()});
                 })},
      .inplace = 0,
  });
}

class ThresholdGradient final : public Kernel {
 public:
  explicit ThresholdGradient(const KernelSpec& spec) : count_(spec.in[0].shape.numel()) {}
  std::size_t scratch_bytes() const override {
    return sizeof(float) * static_cast<std::size_t>(fold_partials(1, count_));
  }
  void run(const KernelCall& call) override {
    fold_rows(call.exec, 1, count_, 0.0f, LoadThresholdGradient{call.in[0].as<float>(), call.in[1].as<float>()}, Sum{},
              StoreRow<float>{call.out[0].as<float>()}, reinterpret_cast<float*>(call.exec.scratch));
  }

 private:
  std::int64_t count_;
};

// dy, y -> dt.
void define_soft_threshold_backward_threshold() {
  define_op({
      .name = "soft_threshold_backward_threshold",
      .in_double = in_double::soft_threshold_backward_threshold,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        same_as_inputs(in, 2);
        return {{Shape{1}, DType::F32}};
      },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<ThresholdGradient>(spec); }},
  });
}

}  // namespace

void define_soft_threshold() {
  define_op({
      .name = "soft_threshold",
      .in_double = in_double::soft_threshold,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 2 && in[0].dtype == DType::F32 && in[1].dtype == DType::F32 && in[1].shape == Shape{1},
                "takes an f32 weight and an f32 threshold {1}");
        return {{in[0].shape, DType::F32}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            const std::vector<ValueId> in{r.out_grad(0), node.out[0]};
            if (r.wants(0)) r.add(0, r.graph().emit1("soft_threshold_backward", in, {}, node.name + "/grad"));
            if (r.wants(1)) {
              r.add(1, r.graph().emit1("soft_threshold_backward_threshold", in, {}, node.name + "/threshold"));
            }
          },
      .keeps_zeros_of = 0,
      .makes_zeros = true,
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(),
                            SoftThreshold{call.in[0].as<float>(), call.in[1].as<float>(), call.out[0].as<float>()});
                 })},
      .examples = {{.label = "conv", .in = {{{5, 3, 3, 3}}, {{1}}}, .bf16 = false},
                   {.label = "many_chunks", .in = {{{90, 100}}, {{1}}}, .low = 0.1, .bf16 = false}},
  });
  define_soft_threshold_backward();
  define_soft_threshold_backward_threshold();
}

}  // namespace winnow::ops
