// drop_path: drops whole examples and scales up the others (stochastic depth); the reverse applies the same choice, drawn
// again, to the gradient.
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/dropout.h"

namespace winnow::ops {

void define_drop_path() {
  define_op({
      .name = "drop_path",
      .infer =
          [](std::span<const ValueInfo> in, const Attrs& attrs) {
            const double p = attrs.real("p");
            require(p >= 0 && p < 1, fmt::format("p must be in [0, 1), not {}", p));
            require(in.size() == 1 && in[0].shape.rank() >= 2, "takes {examples, ...}");
            return same_as_inputs(in, 1);
          },
      .reverse =
          [](Reverse& r) {
            // The node's name keys the choice, so the reverse node has the same name.
            r.add(0, r.graph().emit1("drop_path", {r.out_grad(0)}, r.node().attrs, r.node().name));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const TensorView &x = call.in[0], &y = call.out[0];
                   const std::int64_t examples = x.shape[0], cols = x.numel() / examples;
                   with_float_type(x.dtype, [&]<class T>() {
                     for_rows(call.exec, examples,
                              DropExample<T>{x.as<T>(), y.as<T>(), cols, &call.exec.run->feed,
                                             stream_id(spec.node.name), spec.real("p")},
                              rows_worth(cols));
                   });
                 })},
      .inplace = 0,
      .train_only = true,
      .channels = every_dim_alike(),
      .examples = {{.label = "tokens", .in = {{{9, 3, 4}}}, .attrs = {{"p", 0.4}}}},
  });
}

}  // namespace winnow::ops
