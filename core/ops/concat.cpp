// concat of the last axis, and split into parts of given sizes, each the reverse of the other.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/layout.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

Shape with_last(const Shape& shape, std::int64_t extent) {
  std::vector<std::int64_t> extents(shape.begin(), shape.end());
  extents.back() = extent;
  return Shape(extents);
}

std::vector<ValueInfo> infer_concat(Infos in, const Attrs&) {
  require(in.size() >= 2, "takes two inputs or more");
  std::int64_t extent = 0;
  for (const ValueInfo& part : in) {
    require(is_float(part.dtype) && part.dtype == in[0].dtype, "all inputs must be f32 or all bf16");
    require(part.shape.rank() >= 2 && with_last(part.shape, 1) == with_last(in[0].shape, 1),
            "the inputs must agree in all axes but the last");
    extent += part.shape[-1];
  }
  return {{with_last(in[0].shape, extent), in[0].dtype}};
}

std::vector<ValueInfo> infer_split(Infos in, const Attrs& attrs) {
  require(in.size() == 1 && is_float(in[0].dtype) && in[0].shape.rank() >= 2, "takes {..., channels} in f32 or bf16");
  std::vector<ValueInfo> parts;
  std::int64_t sum = 0;
  for (const std::int64_t size : attrs.list("sizes")) {
    require(size >= 1, "sizes must be positive");
    parts.push_back({with_last(in[0].shape, size), in[0].dtype});
    sum += size;
  }
  require(sum == in[0].shape[-1], fmt::format("sizes must add up to the {} channels", in[0].shape[-1]));
  return parts;
}

// The parts' channels follow each other in the whole.
void tie_parts(ChannelTies& ties, ValueId whole, const std::vector<ValueId>& parts) {
  std::int64_t at = 0;
  for (const ValueId part : parts) {
    for (std::int64_t i = 0; i < ties.shape(part)[-1]; ++i) ties.tie(part, -1, i, whole, -1, at++);
  }
}
void tie_concat(ChannelTies& ties) { tie_parts(ties, ties.node().out[0], ties.node().in); }
void tie_split(ChannelTies& ties) { tie_parts(ties, ties.node().in[0], ties.node().out); }
void resize_split(const KeptEntries& kept, const Node& node, Attrs& attrs) {
  std::vector<std::int64_t> sizes;
  for (const ValueId part : node.out) sizes.push_back(std::ssize(kept.kept(part, -1)));
  attrs.set("sizes", std::move(sizes));
}

void reverse_concat(Reverse& r) {
  std::vector<std::int64_t> sizes;
  for (const ValueId id : r.node().in) sizes.push_back(r.graph().value(id).shape[-1]);
  const auto grads = r.graph().emit("split", {r.out_grad(0)}, {{"sizes", sizes}}, r.node().name + "/grad");
  for (std::size_t i = 0; i < grads.size(); ++i) r.add(i, grads[i]);
}

// A part that nothing reads has a gradient of zero.
void reverse_split(Reverse& r) {
  Graph& graph = r.graph();
  std::vector<ValueId> grads;
  for (std::size_t i = 0; i < r.node().out.size(); ++i) {
    ValueId grad = r.out_grad(i);
    if (grad == kNoValue) {
      const ValueInfo part = graph.value(r.node().out[i]);
      const std::string name = fmt::format("{}/zero{}", r.node().name, i);
      grad = graph.constant(0.0, part.shape, name);
      if (part.dtype != DType::F32) {
        grad = graph.emit1("cast", {grad}, {{"dtype", std::string(name_of(part.dtype))}}, name + ".cast");
      }
    }
    grads.push_back(grad);
  }
  r.add(0, grads.size() == 1 ? grads[0] : graph.emit1("concat", grads, {}, r.node().name + "/grad"));
}

// `wide` is the whole, `narrow` the parts side by side; copies into the one or the others.
void run(const KernelCall& call, const TensorView& wide, std::span<const TensorView> narrow, bool into_wide) {
  const std::int64_t width = wide.shape[-1], rows = wide.numel() / width;
  std::int64_t column = 0;
  for (const TensorView& part : narrow) {
    const std::int64_t cols = part.shape[-1];
    with_float_type(wide.dtype, [&]<class T>() {
      const auto copy = into_wide ? CopyColumns<T>{part.as<T>(), wide.as<T>(), cols, 0, width, column, cols}
                                  : CopyColumns<T>{wide.as<T>(), part.as<T>(), width, column, cols, 0, cols};
      for_rows(call.exec, rows, copy, rows_worth(cols));
    });
    column += cols;
  }
}

}  // namespace

void define_concat() {
  define_op({.name = "concat",
             .in_double = in_double::concat,
             .infer = infer_concat,
             .reverse = reverse_concat,
             .kernel = {.any = plain_kernel(
                            [](const KernelSpec&, const KernelCall& call) { run(call, call.out[0], call.in, true); })},
             .channels = {.tie = tie_concat},
             .examples = {{.label = "images", .in = {{{2, 3, 3, 5}}, {{2, 3, 3, 2}}}},
                          {.label = "three", .in = {{{4, 1}}, {{4, 17}}, {{4, 3}}}}}});
  define_op(
      {.name = "split",
       .in_double = in_double::split,
       .infer = infer_split,
       .reverse = reverse_split,
       .kernel = {.any = plain_kernel(
                      [](const KernelSpec&, const KernelCall& call) { run(call, call.in[0], call.out, false); })},
       .channels = {.tie = tie_split, .resize = resize_split},
       .examples = {{.label = "queries, keys, values",
                     .in = {{{2, 3, 12}}},
                     .attrs = {{"sizes", std::vector<std::int64_t>{4, 4, 4}}}},
                    {.label = "unequal", .in = {{{5, 7}}}, .attrs = {{"sizes", std::vector<std::int64_t>{6, 1}}}}}});
}

}  // namespace winnow::ops
