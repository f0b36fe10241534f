// softmax over the last axis, and its reverse, which reads the output so that softmax may run in place.
#include "kernels/functors/softmax.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

std::vector<ValueInfo> infer_softmax(std::span<const ValueInfo> in, std::size_t arity) {
  require(!in.empty() && in[0].shape.rank() >= 2, "takes at least {rows, values}");
  return same_as_inputs(in, arity);
}

}  // namespace

void define_softmax() {
  define_op({
      .name = "softmax",
      .in_double = in_double::softmax,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return infer_softmax(in, 1); },
      .reverse =
          [](Reverse& r) {
            r.add(0,
                  r.graph().emit1("softmax_backward", {r.out_grad(0), r.node().out[0]}, {}, r.node().name + "/grad"));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   const std::int64_t cols = call.out[0].shape[-1];
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_rows(call.exec, call.out[0].numel() / cols,
                              SoftmaxRow<T>{call.in[0].as<T>(), call.out[0].as<T>(), cols}, rows_worth(8 * cols));
                   });
                 })},
      .inplace = 0,
      .examples = {{.label = "attention", .in = {{{2, 2, 3, 11}}}, .low = -3, .high = 3},
                   {.label = "one value", .in = {{{4, 1}}}}},
  });
  define_op({
      .name = "softmax_backward",
      .in_double = in_double::softmax_backward,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return infer_softmax(in, 2); },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   const std::int64_t cols = call.out[0].shape[-1];
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_rows(call.exec, call.out[0].numel() / cols,
                              SoftmaxBackwardRow<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>(), cols},
                              rows_worth(2 * cols));
                   });
                 })},
      .inplace = 0,
  });
}

}  // namespace winnow::ops
