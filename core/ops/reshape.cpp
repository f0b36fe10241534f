// reshape: the same elements under other extents (attr `shape`; an extent of -1 is what is left). Costs nothing where the
// memory plan lets it run in place. Its reverse is a reshape back.
#include <algorithm>

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {
namespace {

std::vector<ValueInfo> infer_reshape(std::span<const ValueInfo> in, const Attrs& attrs) {
  require(in.size() == 1 && is_float(in[0].dtype), "takes one f32 or bf16 input");
  std::vector<std::int64_t> extents = attrs.list("shape");
  std::int64_t known = 1, open = 0;
  for (const std::int64_t extent : extents) {
    require(extent >= 1 || extent == -1, "extents must be positive, or -1 for what is left");
    extent == -1 ? ++open : known *= extent;
  }
  const std::int64_t numel = in[0].shape.numel();
  require(open <= 1 && numel % known == 0 && (open == 1 || numel == known),
          fmt::format("{} elements do not fill the new extents", numel));
  std::replace(extents.begin(), extents.end(), std::int64_t{-1}, numel / known);
  return {{Shape(extents), in[0].dtype}};
}

}  // namespace

void define_reshape() {
  define_op(
      {.name = "reshape",
       .in_double = in_double::copy,
       .infer = infer_reshape,
       .reverse =
           [](Reverse& r) {
             const Shape before = r.graph().value(r.node().in[0]).shape;
             const std::vector<std::int64_t> extents(before.begin(), before.end());
             r.add(0, r.graph().emit1("reshape", {r.out_grad(0)}, {{"shape", extents}}, r.node().name + "/grad"));
           },
       .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                    if (call.in[0].data == call.out[0].data) return;
                    with_float_type(call.out[0].dtype, [&]<class T>() {
                      for_each(call.exec, call.out[0].numel(), Cast<T, T>{call.in[0].as<T>(), call.out[0].as<T>()});
                    });
                  })},
       .inplace = 0,
       .examples = {
           {.label = "tokens to rows", .in = {{{2, 3, 4, 5}}}, .attrs = {{"shape", std::vector<std::int64_t>{-1, 20}}}},
           {.label = "rows to heads", .in = {{{6, 8}}}, .attrs = {{"shape", std::vector<std::int64_t>{2, 3, 2, 4}}}}}});
}

}  // namespace winnow::ops
