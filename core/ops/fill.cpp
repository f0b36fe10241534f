// fill: a tensor of one value.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {

void define_fill() {
  define_op({
      .name = "fill",
      .in_double = in_double::fill,
      .infer = [](std::span<const ValueInfo> in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.empty(), "takes no input");
        attrs.real("value");
        return {{Shape(attrs.list("shape")), DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(), Fill{call.out[0].as<float>(), spec.real("value")});
                 })},
      .examples = {{.label = "matrix",
                    .in = {},
                    .attrs = {{"value", 2.5}, {"shape", std::vector<std::int64_t>{3, 4}}}}},
  });
}

}  // namespace winnow::ops
