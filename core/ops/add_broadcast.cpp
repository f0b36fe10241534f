// add_broadcast: a + b, where b (f32) has the extents of a's last axes and is repeated over the others, as position
// embeddings are; sum_leading (attr `shape`, the last axes) is its reverse for b: the sum over the others, in f32.
#include <algorithm>

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

bool ends_with(const Shape& whole, const Shape& end) {
  return end.rank() >= 1 && end.rank() <= whole.rank() && std::equal(end.begin(), end.end(), whole.end() - end.rank());
}

std::vector<ValueInfo> infer_add(Infos in, const Attrs&) {
  require(in.size() == 2 && is_float(in[0].dtype), "takes a in f32 or bf16, and b");
  require(in[1].dtype == DType::F32 && ends_with(in[0].shape, in[1].shape),
          "b must be f32 with the extents of a's last axes");
  return {{in[0].shape, in[0].dtype}};
}

std::vector<ValueInfo> infer_sum(Infos in, const Attrs& attrs) {
  require(in.size() == 1 && is_float(in[0].dtype), "takes one f32 or bf16 input");
  const Shape shape(attrs.list("shape"));
  require(ends_with(in[0].shape, shape), "shape must be the extents of the last axes");
  return {{shape, DType::F32}};
}

class SumLeading final : public Kernel {
 public:
  explicit SumLeading(const KernelSpec& spec)
      : cols_(spec.out[0].shape.numel()), rows_(spec.in[0].shape.numel() / cols_) {}
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(fold_partials(cols_, rows_)) * sizeof(float);
  }
  void run(const KernelCall& call) override {
    with_float_type(call.in[0].dtype, [&]<class T>() {
      fold_rows(call.exec, cols_, rows_, 0.0f, LoadColumn<T>{call.in[0].as<T>(), cols_}, Sum{},
                StoreRow<float>{call.out[0].as<float>()}, reinterpret_cast<float*>(call.exec.scratch));
    });
  }

 private:
  std::int64_t cols_, rows_;
};

}  // namespace

void define_add_broadcast() {
  define_op(
      {.name = "add_broadcast",
       .in_double = in_double::add_broadcast,
       .infer = infer_add,
       .reverse =
           [](Reverse& r) {
             r.add(0, r.out_grad(0));
             if (!r.wants(1)) return;
             const Shape b = r.graph().value(r.node().in[1]).shape;
             const std::vector<std::int64_t> extents(b.begin(), b.end());
             r.add(1, r.graph().emit1("sum_leading", {r.out_grad(0)}, {{"shape", extents}}, r.node().name + "/grad"));
           },
       .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                    with_float_type(call.out[0].dtype, [&]<class T>() {
                      const std::int64_t cols = call.in[1].numel();
                      for_rows(call.exec, call.out[0].numel() / cols,
                               AddToRow<T>{call.in[0].as<T>(), call.in[1].as<float>(), call.out[0].as<T>(), cols},
                               rows_worth(cols));
                    });
                  })},
       .inplace = 0,
       .channels = last_dim_alike(),
       .examples = {{.label = "positions", .in = {{{3, 4, 5}}, {{4, 5}}}},
                    {.label = "channels", .in = {{{2, 3, 3, 17}}, {{17}}}}}});
  define_op({.name = "sum_leading",
             .in_double = in_double::sum_leading,
             .infer = infer_sum,
             .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<SumLeading>(spec); }}});
}

}  // namespace winnow::ops
