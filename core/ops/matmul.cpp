// matmul: products of many matrices, y = scale * op(a) op(b) over the last two axes; the axes before them agree.
// attrs: transpose_a, transpose_b (the two axes change places first), scale. Its reverse is two of the same.
#include "kernels/cpu/matmul.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/matmul.h"

namespace winnow::ops {
namespace {

cpu::MatmulShape matmul_shape(const Shape& a, const Shape& b, const Attrs& attrs) {
  const bool ta = attrs.integer("transpose_a", 0) != 0, tb = attrs.integer("transpose_b", 0) != 0;
  return {.count = a.numel() / (a[-1] * a[-2]),
          .rows = ta ? a[-1] : a[-2],
          .inner = ta ? a[-2] : a[-1],
          .cols = tb ? b[-2] : b[-1],
          .transpose_a = ta,
          .transpose_b = tb,
          .scale = 1.0f};
}

std::vector<ValueInfo> infer_matmul(std::span<const ValueInfo> in, const Attrs& attrs) {
  require(in.size() == 2, "takes a and b");
  const Shape &a = in[0].shape, &b = in[1].shape;
  require(a.rank() >= 2 && a.rank() == b.rank() && a.numel() > 0, "a and b must have the same axes, at least two");
  require(is_float(in[0].dtype) && in[0].dtype == in[1].dtype, "a and b must both be f32 or both bf16");
  for (int axis = 0; axis < a.rank() - 2; ++axis)
    require(a[axis] == b[axis], "the axes before the last two must agree");
  const cpu::MatmulShape s = matmul_shape(a, b, attrs);
  require((s.transpose_b ? b[-1] : b[-2]) == s.inner, "the inner extents of a and b must agree");
  std::vector<std::int64_t> extents(a.begin(), a.end());
  extents[extents.size() - 2] = s.rows;
  extents.back() = s.cols;
  return {{Shape(extents), in[0].dtype}};
}

// y = s A B: dA = s dy B', dB = s A' dy; for a transposed operand the transpose of that.
void reverse_matmul(Reverse& r) {
  const Node& node = r.node();
  const ValueId dy = r.out_grad(0), a = node.in[0], b = node.in[1];
  const std::int64_t ta = node.attrs.integer("transpose_a", 0), tb = node.attrs.integer("transpose_b", 0);
  const auto product = [&](ValueId x, std::int64_t tx, ValueId y, std::int64_t ty, const char* name) {
    return r.graph().emit1("matmul", {x, y},
                           {{"transpose_a", tx}, {"transpose_b", ty}, {"scale", node.attrs.real("scale")}},
                           node.name + name);
  };
  if (r.wants(0)) r.add(0, ta == 0 ? product(dy, 0, b, 1 - tb, "/da") : product(b, tb, dy, 1, "/da"));
  if (r.wants(1)) r.add(1, tb == 0 ? product(a, 1 - ta, dy, 0, "/db") : product(dy, 1, a, ta, "/db"));
}

class MatmulKernel final : public Kernel {
 public:
  explicit MatmulKernel(const KernelSpec& spec)
      : shape_(matmul_shape(spec.in[0].shape, spec.in[1].shape, spec.node.attrs)),
        scale_(spec.real("scale")),
        threads_(spec.threads) {}
  std::size_t scratch_bytes() const override { return shape_.scratch_bytes(threads_); }
  void run(const KernelCall& call) override {
    shape_.scale = static_cast<float>(*scale_);
    with_float_type(call.out[0].dtype, [&]<class T>() {
      cpu::matmul(shape_, call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>(), call.exec.scratch, threads_);
    });
  }

 private:
  cpu::MatmulShape shape_;
  const double* scale_;
  int threads_;
};

// On devices: one thread an element of the products.
void run_matmul_elements(const KernelSpec& spec, const KernelCall& call) {
  const cpu::MatmulShape s = matmul_shape(spec.in[0].shape, spec.in[1].shape, spec.node.attrs);
  with_float_type(call.out[0].dtype, [&]<class T>() {
    for_rows(call.exec, call.out[0].numel(),
             MatmulElement<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>(), s.rows, s.inner, s.cols,
                              s.transpose_a, s.transpose_b, spec.real("scale")});
  });
}

OpExample matmul_example(std::string label, const Shape& a, const Shape& b, std::int64_t ta, std::int64_t tb) {
  return {.label = std::move(label),
          .in = {{a, DType::F32, "a"}, {b, DType::F32, "b"}},
          .attrs = {{"transpose_a", ta}, {"transpose_b", tb}, {"scale", 0.5}}};
}

}  // namespace

void define_matmul() {
  define_op({.name = "matmul",
             .in_double = in_double::matmul,
             .infer = infer_matmul,
             .defaults = {{"scale", 1.0}},
             .reverse = reverse_matmul,
             .macs =
                 [](std::span<const ValueInfo> in, std::span<const ValueInfo>, const Attrs& attrs) {
                   const cpu::MatmulShape s = matmul_shape(in[0].shape, in[1].shape, attrs);
                   return s.count * s.rows * s.inner * s.cols;
                 },
             .kernel = {.cpu = [](const KernelSpec& spec) { return std::make_unique<MatmulKernel>(spec); },
                        .cuda = plain_kernel(run_matmul_elements)},
             .examples = {matmul_example("as they are", {2, 3, 5, 7}, {2, 3, 7, 18}, 0, 0),
                          matmul_example("queries and keys", {2, 2, 6, 8}, {2, 2, 9, 8}, 0, 1),
                          matmul_example("a transposed", {3, 4, 5}, {3, 4, 17}, 1, 0),
                          matmul_example("both transposed", {2, 6, 5}, {2, 3, 6}, 1, 1)}});
}

}  // namespace winnow::ops
