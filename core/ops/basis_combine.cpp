// basis_combine: coefficients {O, I, K, K} and a basis {K*K, K*K}, whose rows are filters, give the
// spatial weight {O, I, K, K}: each filter is the combination of the basis filters that its coefficients say.
#include "kernels/functors/basis_combine.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

std::int64_t filter_size(const Shape& weight) {
  require(weight.rank() == 4, "the coefficients must be {O, I, K, K}");
  return weight[2] * weight[3];
}

std::int64_t combine_macs(const Shape& weight) { return weight.numel() * weight[2] * weight[3]; }

class BasisGradientKernel final : public Kernel {
 public:
  explicit BasisGradientKernel(const KernelSpec& spec)
      : n_(filter_size(spec.in[0].shape)),
        rows_(spec.in[0].shape.numel() / n_),
        chunks_((rows_ + kBasisChunk - 1) / kBasisChunk) {}
  std::size_t scratch_bytes() const override { return sizeof(float) * static_cast<std::size_t>(chunks_ * n_ * n_); }
  void run(const KernelCall& call) override {
    auto* partial = reinterpret_cast<float*>(call.exec.scratch);
    for_rows(call.exec, chunks_, BasisGradient{call.in[0].as<float>(), call.in[1].as<float>(), partial, rows_, n_});
    for_each(call.exec, n_ * n_, BasisGradientSum{partial, call.out[0].as<float>(), chunks_, n_ * n_});
  }

 private:
  std::int64_t n_, rows_, chunks_;
};

void define_basis_gradient() {
  define_op({
      .name = "basis_gradient",
      .in_double = in_double::basis_gradient,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 2 && in[0].shape == in[1].shape, "takes coefficients and dw, of one shape");
        const std::int64_t n = filter_size(in[0].shape);
        return {{Shape{n, n}, DType::F32}};
      },
      .macs = [](std::span<const ValueInfo> in, std::span<const ValueInfo>,
                 const Attrs&) { return combine_macs(in[0].shape); },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<BasisGradientKernel>(spec); }},
  });
}

}  // namespace

void define_basis_combine() {
  define_op({
      .name = "basis_combine",
      .in_double = in_double::basis_combine,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 2, "takes coefficients and a basis");
        const std::int64_t n = filter_size(in[0].shape);
        require(in[0].dtype == DType::F32 && in[1].dtype == DType::F32, "both must be f32");
        require(in[1].shape == Shape{n, n}, fmt::format("the basis must be {}x{}", n, n));
        return {{in[0].shape, DType::F32}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            if (r.wants(0)) {
              Attrs attrs;
              attrs.set("transposed", 1 - node.attrs.integer("transposed", 0));
              r.add(0,
                    r.graph().emit1("basis_combine", {r.out_grad(0), node.in[1]}, attrs, node.name + "/coefficients"));
            }
            if (r.wants(1)) {
              require(node.attrs.integer("transposed", 0) == 0,
                      "the gradient of a basis is known for the untransposed product only");
              r.add(1, r.graph().emit1("basis_gradient", {node.in[0], r.out_grad(0)}, {}, node.name + "/basis"));
            }
          },
      .macs = [](std::span<const ValueInfo> in, std::span<const ValueInfo>,
                 const Attrs&) { return combine_macs(in[0].shape); },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const std::int64_t n = call.in[1].shape[0], rows = call.out[0].numel() / n;
                   for_rows(call.exec, rows,
                            BasisCombine{call.in[0].as<float>(), call.in[1].as<float>(), call.out[0].as<float>(), n,
                                         spec.node.attrs.integer("transposed", 0) != 0},
                            1024);
                 })},
      .examples = {{.label = "3x3", .in = {{{4, 3, 3, 3}}, {{9, 9}}}, .bf16 = false},
                   {.label = "many_chunks", .in = {{{40, 20, 2, 2}}, {{4, 4}}}, .bf16 = false}},
  });
  define_basis_gradient();
}

}  // namespace winnow::ops
