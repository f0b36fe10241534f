// mul: elementwise product; scale_by and divide_by: product with, and quotient by, a scalar that is itself a value of the
// graph.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {
namespace {

std::vector<ValueInfo> with_scalar(std::span<const ValueInfo> in, const Attrs&) {
  require(in.size() == 2 && is_float(in[0].dtype), "takes an f32 or bf16 tensor and a scalar");
  require(in[1].shape.numel() == 1 && in[1].dtype == DType::F32, "the scalar must be one f32 number");
  return {{in[0].shape, in[0].dtype}};
}

ChannelRule like_input_0() {
  return {.tie = [](ChannelTies& ties) {
    const Node& node = ties.node();
    for (int d = 0; d < ties.shape(node.in[0]).rank(); ++d) ties.tie_dims(node.in[0], d, node.out[0], d);
  }};
}

void define_scale_by() {
  define_op({
      .name = "scale_by",
      .in_double = in_double::scale_by,
      .infer = with_scalar,
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
      .channels = like_input_0(),
      .examples = {{.label = "matrix", .in = {{{4, 6}}, {{}}}}},
  });
}

void define_divide_by() {
  define_op({
      .name = "divide_by",
      .infer = with_scalar,
      .reverse =
          [](Reverse& r) {
            Graph& graph = r.graph();
            const Node& node = r.node();
            const std::string name = node.name + "/grad";
            const ValueId share = graph.emit1("divide_by", {r.out_grad(0), node.in[1]}, {}, name);
            if (r.wants(0)) r.add(0, share);
            if (!r.wants(1)) return;
            // -sum(dy y) / s
            const ValueId sum =
                graph.emit1("reduce_sum", {graph.emit1("mul", {share, node.out[0]}, {}, name)}, {}, name);
            r.add(1, graph.scaled(sum, -1.0, name));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              DivideBy<T>{call.in[0].as<T>(), call.in[1].as<float>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
      .channels = like_input_0(),
      .examples = {{.label = "matrix", .in = {{{4, 6}}, {{}}}, .low = 0.5, .high = 2}},
  });
}

}  // namespace

void define_mul() {
  define_op({
      .name = "mul",
      .in_double = in_double::mul,
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
  define_divide_by();
}

}  // namespace winnow::ops
