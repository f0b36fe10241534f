// compander: the effective weight w = a * f(v / b) of a trained v. Inputs v, a {1} or none, b {1}
// or none; an absent a or b is the attribute of that name. Attribute function: arctan, arsinh or erf.
// For updates, without a reverse, of the same a and b: compander_slope, dw / dv of v; compander_decay, a gradient by v
// with that of a decay of w added, attribute `rate`.
#include "kernels/functors/compander.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

// body.operator()<kind>().
template <class Body>
void with_companding(const Attrs& attrs, const Body& body) {
  const std::string& name = attrs.text("function");
  if (name == "arctan") return body.template operator()<Companding::Arctan>();
  if (name == "arsinh") return body.template operator()<Companding::Arsinh>();
  if (name == "erf") return body.template operator()<Companding::Erf>();
  fail(ErrorKind::Internal, "attribute function must be arctan, arsinh or erf, not {}", name);
}

// Where the attribute lies that counts where input `i` is absent; null where it is present.
const double* given(const KernelSpec& spec, std::size_t i, const char* name) {
  return spec.in[i].shape.rank() == 1 ? nullptr : spec.real(name);
}

void check(std::span<const ValueInfo> in, const Attrs& attrs, bool learned_a, bool learned_b) {
  require(in[0].dtype == DType::F32, "the trained weight must be f32");
  with_companding(attrs, []<Companding kind>() {});
  require(learned_a || attrs.real("a") > 0, "a must be positive");
  require(learned_b || attrs.real("b") > 0, "b must be positive");
}

// dw, v, a, b -> dv.
void define_compander_backward() {
  define_op({
      .name = "compander_backward",
      .in_double = in_double::compander_backward,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 4, "takes dw, v, a, b");
        return {{in[1].shape, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const Coefficient a{call.in[2].as<float>(), given(spec, 2, "a")};
                   const Coefficient b{call.in[3].as<float>(), given(spec, 3, "b")};
                   with_companding(spec.node.attrs, [&]<Companding kind>() {
                     for_each(call.exec, call.out[0].numel(),
                              CompandBackward<kind>{call.in[0].as<float>(), call.in[1].as<float>(), a, b,
                                                    call.out[0].as<float>()},
                              2048);
                   });
                 })},
      .inplace = 0,
  });
}

class CoefficientGradient final : public Kernel {
 public:
  explicit CoefficientGradient(const KernelSpec& spec)
      : attrs_(spec.node.attrs),
        given_a_(given(spec, 2, "a")),
        given_b_(given(spec, 3, "b")),
        count_(spec.in[1].shape.numel()) {}
  std::size_t scratch_bytes() const override {
    return sizeof(CompandingGradient) * static_cast<std::size_t>(fold_partials(1, count_));
  }
  void run(const KernelCall& call) override {
    const Coefficient a{call.in[2].as<float>(), given_a_}, b{call.in[3].as<float>(), given_b_};
    with_companding(attrs_, [&]<Companding kind>() {
      fold_rows(call.exec, 1, count_, CompandingGradient{},
                LoadCompandingGradient<kind>{call.in[0].as<float>(), call.in[1].as<float>(), a, b},
                AddCompandingGradients{}, StoreCompandingGradient{call.out[0].as<float>(), call.out[1].as<float>()},
                reinterpret_cast<CompandingGradient*>(call.exec.scratch));
    });
  }

 private:
  Attrs attrs_;
  const double *given_a_, *given_b_;
  std::int64_t count_;
};

// dw, v, a, b -> da, db.
void define_compander_backward_coefficients() {
  define_op({
      .name = "compander_backward_coefficients",
      .in_double = in_double::compander_backward_coefficients,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 4, "takes dw, v, a, b");
        return {{Shape{1}, DType::F32}, {Shape{1}, DType::F32}};
      },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<CoefficientGradient>(spec); }},
  });
}

void check_update(std::span<const ValueInfo> in, const Attrs& attrs, std::size_t a) {
  check(in, attrs, in[a].shape.rank() == 1, in[a + 1].shape.rank() == 1);
}

OpExample update_example(std::string label, std::vector<ValueInfo> in, Attrs attrs) {
  return {.label = std::move(label),
          .in = std::move(in),
          .attrs = std::move(attrs),
          .gradient = OpExample::Gradient::None,
          .low = 0.4,
          .bf16 = false};
}

void define_compander_slope(const std::vector<ValueInfo>& example, const Attrs& attrs) {
  define_op({
      .name = "compander_slope",
      .infer = [](std::span<const ValueInfo> in, const Attrs& attributes) -> std::vector<ValueInfo> {
        require(in.size() == 3, "takes v, a, b, of which a and b may be absent");
        check_update(in, attributes, 1);
        return {{in[0].shape, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const Coefficient a{call.in[1].as<float>(), given(spec, 1, "a")};
                   const Coefficient b{call.in[2].as<float>(), given(spec, 2, "b")};
                   with_companding(spec.node.attrs, [&]<Companding kind>() {
                     for_each(call.exec, call.out[0].numel(),
                              CompandSlope<kind>{call.in[0].as<float>(), a, b, call.out[0].as<float>()}, 2048);
                   });
                 })},
      .examples = {update_example("learned coefficients", example, attrs)},
  });
}

void define_compander_decay(std::vector<ValueInfo> example, Attrs attrs) {
  example.insert(example.begin(), ValueInfo(example.front()));
  attrs.set("rate", 0.1);
  define_op({
      .name = "compander_decay",
      .infer = [](std::span<const ValueInfo> in, const Attrs& attributes) -> std::vector<ValueInfo> {
        require(in.size() == 4, "takes a gradient, v, a, b, of which a and b may be absent");
        require(in[0].shape == in[1].shape && in[1].dtype == DType::F32, "gradient and v must be f32 of one shape");
        check_update(in, attributes, 2);
        attributes.real("rate");
        return {{in[0].shape, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const Coefficient a{call.in[2].as<float>(), given(spec, 2, "a")};
                   const Coefficient b{call.in[3].as<float>(), given(spec, 3, "b")};
                   with_companding(spec.node.attrs, [&]<Companding kind>() {
                     for_each(call.exec, call.out[0].numel(),
                              CompandDecay<kind>{call.in[0].as<float>(), call.in[1].as<float>(), a, b,
                                                 spec.real("rate"), call.out[0].as<float>()},
                              2048);
                   });
                 })},
      .inplace = 0,
      .examples = {update_example("learned coefficients", std::move(example), std::move(attrs))},
  });
}

}  // namespace

void define_compander() {
  const ValueInfo weight{{5, 3, 3, 3}}, one{{1}};
  // With learned coefficients, which leave nothing to attributes.
  const auto attrs = [](const char* function) { return Attrs{{"function", std::string(function)}}; };
  define_op({
      .name = "compander",
      .in_double = in_double::compander,
      .infer = [](std::span<const ValueInfo> in, const Attrs& attributes) -> std::vector<ValueInfo> {
        require(in.size() == 3, "takes v, a, b, of which a and b may be absent");
        check(in, attributes, in[1].shape.rank() == 1, in[2].shape.rank() == 1);
        return {{in[0].shape, DType::F32}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            const std::vector<ValueId> in{r.out_grad(0), node.in[0], node.in[1], node.in[2]};
            if (r.wants(1) || r.wants(2)) {
              const auto grads =
                  r.graph().emit("compander_backward_coefficients", in, node.attrs, node.name + "/coefficients");
              r.add(1, grads[0]);
              r.add(2, grads[1]);
            }
            if (r.wants(0)) {
              r.add(0, r.graph().emit1("compander_backward", in, node.attrs, node.name + "/grad"));
            }
          },
      .keeps_zeros_of = 0,
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const Coefficient a{call.in[1].as<float>(), given(spec, 1, "a")};
                   const Coefficient b{call.in[2].as<float>(), given(spec, 2, "b")};
                   with_companding(spec.node.attrs, [&]<Companding kind>() {
                     for_each(call.exec, call.out[0].numel(),
                              Compand<kind>{call.in[0].as<float>(), a, b, call.out[0].as<float>()}, 2048);
                   });
                 })},
      .examples = {{.label = "arctan", .in = {weight, one, one}, .attrs = attrs("arctan"), .low = 0.4, .bf16 = false},
                   {.label = "arsinh", .in = {weight, one, one}, .attrs = attrs("arsinh"), .low = 0.4, .bf16 = false},
                   {.label = "erf", .in = {weight, one, one}, .attrs = attrs("erf"), .low = 0.4, .bf16 = false}},
  });
  define_compander_backward();
  define_compander_backward_coefficients();
  define_compander_slope({weight, one, one}, attrs("arctan"));
  define_compander_decay({weight, one, one}, attrs("erf"));
}

}  // namespace winnow::ops
