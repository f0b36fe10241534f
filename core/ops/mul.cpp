// mul: elementwise product; scale_by: product with a scalar that is itself a value of the graph.
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {
namespace {

void define_scale_by() {
  define_op({
      .name = "scale_by",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 2 && is_float(in[0].dtype), "takes an f32 or bf16 tensor and a scalar");
        require(in[1].shape.numel() == 1 && in[1].dtype == DType::F32, "the scale must be one f32 number");
        return {{in[0].shape, in[0].dtype}};
      },
      .reverse =
          [](Reverse& r) {
            Graph& graph = r.graph();
            const Node& node = r.node();
            if (r.wants(0)) r.add(0, graph.emit1("scale_by", {r.out_grad(0), node.in[1]}, {}, node.name + "/grad"));
            if (r.wants(1)) {
              const ValueId product = graph.emit1("mul", {r.out_grad(0), node.in[0]}, {}, node.name + "/grad");
              r.add(1, graph.emit1("reduce_sum", {product}, {}, node.name + "/grad"));
            }
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              ScaleBy<T>{call.in[0].as<T>(), call.in[1].as<float>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
      .examples = {{.label = "matrix", .in = {{{4, 6}}, {{}}}}},
  });
}

}  // namespace

void define_mul() {
  define_op({
      .name = "mul",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 2); },
      .reverse =
          [](Reverse& r) {
            for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
              if (!r.wants(i)) continue;
              r.add(i, r.graph().emit1("mul", {r.out_grad(0), r.node().in[1 - i]}, {}, r.node().name + "/grad"));
            }
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              Mul<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
      .channels = every_dim_alike(),
      .examples = {{.label = "image", .in = {{{2, 3, 3, 5}}, {{2, 3, 3, 5}}}}},
  });
  define_scale_by();
}

}  // namespace winnow::ops
