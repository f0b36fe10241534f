// lsq: y = s * round(clip(v / s, low, high)) of a weight v and a step s {1}, both f32; attributes low <= 0 < high, whole
// numbers of steps. Its reverse is straight-through for v; that of s is scaled by 1 / sqrt(entries * high), as in Esser et
// al. 2020, so neither is a derivative.
#include "kernels/functors/lsq.h"

#include <algorithm>
#include <cmath>

#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

StepGrid grid_of(const TensorView& step, const Attrs& attrs) {
  return {step.as<float>(), static_cast<float>(attrs.integer("low")), static_cast<float>(attrs.integer("high"))};
}

// The same in double precision, of a grid at input `at`.
struct DoubleGrid {
  double step, low, high;
  DoubleGrid(const DoubleCall& c, std::size_t at)
      : step(*c.in[at]),
        low(static_cast<double>(c.node.attrs.integer("low"))),
        high(static_cast<double>(c.node.attrs.integer("high"))) {}
};
void forward_in_double(const DoubleCall& c) {
  const DoubleGrid g(c, 1);
  for (std::int64_t i = 0; i < c.out_info[0].shape.numel(); ++i) {
    c.out[0][i] = std::rint(std::clamp(c.in[0][i] / g.step, g.low, g.high)) * g.step + 0.0;
  }
}
void backward_in_double(const DoubleCall& c) {
  const DoubleGrid g(c, 2);
  for (std::int64_t i = 0; i < c.out_info[0].shape.numel(); ++i) {
    const double r = c.in[1][i] / g.step;
    c.out[0][i] = r > g.low && r < g.high ? c.in[0][i] : 0.0;
  }
}
void step_gradient_in_double(const DoubleCall& c) {
  const DoubleGrid g(c, 2);
  const std::int64_t n = c.in_info[1].shape.numel();
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double r = c.in[1][i] / g.step;
    sum += c.in[0][i] * (r <= g.low ? g.low : r >= g.high ? g.high : std::rint(r) - r);
  }
  *c.out[0] = sum / std::sqrt(static_cast<double>(n) * g.high);
}

// `v` and the step behind it.
void check(Infos in, std::size_t v, const Attrs& attrs) {
  require(in.size() == v + 2, "takes an f32 weight and an f32 step {1}");
  for (std::size_t i = 0; i <= v; ++i) {
    require(in[i].shape == in[0].shape && in[i].dtype == DType::F32 && in[i].shape.rank() > 0,
            "weight and gradient must be f32 of one shape");
  }
  require(in[v + 1].shape == Shape{1} && in[v + 1].dtype == DType::F32, "the step must be f32 {1}");
  require(attrs.integer("low") <= 0 && attrs.integer("high") > 0, "0 must be a level, and not the last");
}

// dy, v, s -> dv.
void define_lsq_backward() {
  define_op({
      .name = "lsq_backward",
      .in_double = backward_in_double,
      .infer = [](Infos in, const Attrs& attrs) -> std::vector<ValueInfo> {
        check(in, 1, attrs);
        return {{in[1].shape, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(),
                            LsqBackward{call.in[0].as<float>(), call.in[1].as<float>(),
                                        grid_of(call.in[2], spec.node.attrs), call.out[0].as<float>()});
                 })},
      .inplace = 0,
  });
}

class StepGradient final : public Kernel {
 public:
  explicit StepGradient(const KernelSpec& spec) : attrs_(spec.node.attrs), count_(spec.in[1].shape.numel()) {}
  std::size_t scratch_bytes() const override {
    return sizeof(float) * static_cast<std::size_t>(fold_partials(1, count_));
  }
  void run(const KernelCall& call) override {
    const double entries = static_cast<double>(count_) * static_cast<double>(attrs_.integer("high"));
    fold_rows(call.exec, 1, count_, 0.0f,
              LoadStepGradient{call.in[0].as<float>(), call.in[1].as<float>(), grid_of(call.in[2], attrs_)}, Sum{},
              StoreStepGradient{call.out[0].as<float>(), static_cast<float>(1 / std::sqrt(entries))},
              reinterpret_cast<float*>(call.exec.scratch));
  }

 private:
  Attrs attrs_;
  std::int64_t count_;
};

// dy, v, s -> ds.
void define_lsq_backward_step() {
  define_op({
      .name = "lsq_backward_step",
      .in_double = step_gradient_in_double,
      .infer = [](Infos in, const Attrs& attrs) -> std::vector<ValueInfo> {
        check(in, 1, attrs);
        return {{Shape{1}, DType::F32}};
      },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<StepGradient>(spec); }},
  });
}

}  // namespace

void define_lsq() {
  const auto grid = [](std::int64_t low, std::int64_t high) { return Attrs{{"low", low}, {"high", high}}; };
  define_op({
      .name = "lsq",
      .in_double = forward_in_double,
      .infer = [](Infos in, const Attrs& attrs) -> std::vector<ValueInfo> {
        check(in, 0, attrs);
        return {{in[0].shape, DType::F32}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            const std::vector<ValueId> in{r.out_grad(0), node.in[0], node.in[1]};
            if (r.wants(0)) r.add(0, r.graph().emit1("lsq_backward", in, node.attrs, node.name + "/grad"));
            if (r.wants(1)) r.add(1, r.graph().emit1("lsq_backward_step", in, node.attrs, node.name + "/step"));
          },
      .keeps_zeros_of = 0,
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(),
                            LsqForward{call.in[0].as<float>(), grid_of(call.in[1], spec.node.attrs),
                                       call.out[0].as<float>()});
                 })},
      .examples = {{.label = "4 bits",
                    .in = {{{5, 3, 3, 3}}, {{1}}},
                    .attrs = grid(-8, 7),
                    .gradient = OpExample::Gradient::Surrogate,
                    .low = 0.1,
                    .bf16 = false},
                   {.label = "2 bits, many chunks",
                    .in = {{{90, 100}}, {{1}}},
                    .attrs = grid(-2, 1),
                    .gradient = OpExample::Gradient::Surrogate,
                    .low = 0.1,
                    .bf16 = false}},
  });
  define_lsq_backward();
  define_lsq_backward_step();
}

}  // namespace winnow::ops
