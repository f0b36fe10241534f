// reduce_sum: the sum of all elements, in a fixed order; broadcast: one number to every element, its reverse.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {
namespace {

class ReduceSum final : public Kernel {
 public:
  explicit ReduceSum(const KernelSpec& spec) : partials_(fold_partials(1, spec.in[0].shape.numel())) {}
  std::size_t scratch_bytes() const override { return static_cast<std::size_t>(partials_) * sizeof(float); }
  void run(const KernelCall& call) override {
    const TensorView& x = call.in[0];
    auto* partial = reinterpret_cast<float*>(call.exec.scratch);
    with_float_type(x.dtype, [&]<class T>() {
      fold_rows(call.exec, 1, x.numel(), 0.0f, LoadRow<T>{x.as<T>(), x.numel()}, Sum{},
                StoreRow<float>{call.out[0].as<float>()}, partial);
    });
  }

 private:
  std::int64_t partials_;
};

std::string type_attr(DType type) { return name_of(type); }

void define_broadcast() {
  define_op({
      .name = "broadcast",
      .in_double = in_double::broadcast,
      .infer = [](std::span<const ValueInfo> in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.size() == 1 && in[0].shape.numel() == 1 && in[0].dtype == DType::F32, "takes one f32 number");
        const std::string& dtype = attrs.text("dtype");
        require(dtype == "f32" || dtype == "bf16", "attribute dtype must be f32 or bf16, not " + dtype);
        return {{Shape(attrs.list("shape")), dtype == "f32" ? DType::F32 : DType::BF16}};
      },
      .reverse =
          [](Reverse& r) { r.add(0, r.graph().emit1("reduce_sum", {r.out_grad(0)}, {}, r.node().name + "/grad")); },
      .kernel =
          {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
             with_float_type(call.out[0].dtype, [&]<class T>() {
               for_each(call.exec, call.out[0].numel(), Broadcast<T>{call.in[0].as<float>(), call.out[0].as<T>()});
             });
           })},
      .examples = {{.label = "matrix",
                    .in = {{{}}},
                    .attrs = {{"shape", std::vector<std::int64_t>{3, 4}}, {"dtype", std::string("f32")}},
                    .bf16 = false}},
  });
}

}  // namespace

void define_reduce_sum() {
  define_op({
      .name = "reduce_sum",
      .in_double = in_double::reduce_sum,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 1 && is_float(in[0].dtype), "takes one f32 or bf16 input");
        return {{Shape{}, DType::F32}};
      },
      .reverse =
          [](Reverse& r) {
            const ValueInfo x = r.graph().value(r.node().in[0]);
            r.add(0, r.graph().emit1("broadcast", {r.out_grad(0)},
                                     {{"shape", std::vector<std::int64_t>(x.shape.begin(), x.shape.end())},
                                      {"dtype", type_attr(x.dtype)}},
                                     r.node().name + "/grad"));
          },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<ReduceSum>(spec); }},
      .examples = {{.label = "image", .in = {{{2, 3, 3, 5}}}}, {.label = "many_chunks", .in = {{{100, 313}}}}},
  });
  define_broadcast();
}

}  // namespace winnow::ops
