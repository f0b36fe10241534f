// permute: axes in another order; axis i of the output is axis `axes`[i] of the input. Its reverse is the way back.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/layout.h"

namespace winnow::ops {
namespace {

std::vector<ValueInfo> infer_permute(std::span<const ValueInfo> in, const Attrs& attrs) {
  require(in.size() == 1 && is_float(in[0].dtype), "takes one f32 or bf16 input");
  const std::vector<std::int64_t>& axes = attrs.list("axes");
  const Shape& x = in[0].shape;
  require(x.rank() >= 1 && axes.size() == static_cast<std::size_t>(x.rank()),
          fmt::format("axes must name each of the {} axes once", x.rank()));
  std::vector<std::int64_t> extents, seen(axes.size(), 0);
  for (const std::int64_t axis : axes) {
    require(axis >= 0 && axis < x.rank() && seen[static_cast<std::size_t>(axis)]++ == 0,
            fmt::format("axes must name each of the {} axes once", x.rank()));
    extents.push_back(x[static_cast<int>(axis)]);
  }
  return {{Shape(extents), in[0].dtype}};
}

void tie_permute(ChannelTies& ties) {
  const Node& node = ties.node();
  const std::vector<std::int64_t>& axes = node.attrs.list("axes");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    ties.tie_dims(node.in[0], static_cast<int>(axes[i]), node.out[0], static_cast<int>(i));
  }
}

template <class T>
PermuteRow<T> body(const KernelSpec& spec, const KernelCall& call) {
  const std::vector<std::int64_t>& axes = spec.node.attrs.list("axes");
  const Shape &x = call.in[0].shape, &y = call.out[0].shape;
  PermuteRow<T> row{call.in[0].as<T>(), call.out[0].as<T>(), x.rank(), {}, {}};
  for (int i = 0; i < y.rank(); ++i) {
    row.extent[i] = y[i];
    row.stride[i] = 1;
    for (int inner = static_cast<int>(axes[static_cast<std::size_t>(i)]) + 1; inner < x.rank(); ++inner) {
      row.stride[i] *= x[inner];
    }
  }
  return row;
}

}  // namespace

void define_permute() {
  define_op({.name = "permute",
             .in_double = in_double::permute,
             .infer = infer_permute,
             .reverse =
                 [](Reverse& r) {
                   const std::vector<std::int64_t>& axes = r.node().attrs.list("axes");
                   std::vector<std::int64_t> back(axes.size());
                   for (std::size_t i = 0; i < axes.size(); ++i) {
                     back[static_cast<std::size_t>(axes[i])] = static_cast<std::int64_t>(i);
                   }
                   r.add(0, r.graph().emit1("permute", {r.out_grad(0)}, {{"axes", back}}, r.node().name + "/grad"));
                 },
             .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                          const std::int64_t cols = call.out[0].shape[-1];
                          with_float_type(call.out[0].dtype, [&]<class T>() {
                            for_rows(call.exec, call.out[0].numel() / cols, body<T>(spec, call), rows_worth(2 * cols));
                          });
                        })},
             .channels = {.tie = tie_permute},
             .examples = {
                 {.label = "heads before tokens",
                  .in = {{{2, 3, 4, 5}}},
                  .attrs = {{"axes", std::vector<std::int64_t>{0, 2, 1, 3}}}},
                 {.label = "transposed", .in = {{{3, 7}}}, .attrs = {{"axes", std::vector<std::int64_t>{1, 0}}}},
                 {.label = "a cycle", .in = {{{2, 3, 4}}}, .attrs = {{"axes", std::vector<std::int64_t>{2, 0, 1}}}}}});
}

}  // namespace winnow::ops
