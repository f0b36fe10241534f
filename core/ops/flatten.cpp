// flatten: NHWC images to rows in the order (C, H, W), so that the next linear layer's weights have
// PyTorch's order; unflatten (attrs height, width, channels) is its gradient and its inverse.
#include "core/double_ops.h"
#include "core/error.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/layout.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

std::vector<ValueInfo> infer_flatten(Infos in, const Attrs&) {
  require(in.size() == 1 && in[0].shape.rank() == 4 && is_float(in[0].dtype), "takes NHWC images in f32 or bf16");
  const Shape& x = in[0].shape;
  return {{Shape{x[0], x[1] * x[2] * x[3]}, in[0].dtype}};
}
std::vector<ValueInfo> infer_unflatten(Infos in, const Attrs& attrs) {
  require(in.size() == 1 && in[0].shape.rank() == 2 && is_float(in[0].dtype), "takes {rows, features} in f32 or bf16");
  const Shape image{in[0].shape[0], attrs.integer("height"), attrs.integer("width"), attrs.integer("channels")};
  require(image.numel() == in[0].shape.numel(), "height * width * channels must be the features");
  return {{image, in[0].dtype}};
}

void reverse_flatten(Reverse& pass) {
  const ValueId dy = pass.out_grad(0);
  if (dy == kNoValue) return;
  const Shape& x = pass.graph().value(pass.node().in[0]).shape;
  Attrs attrs{{"height", x[1]}, {"width", x[2]}, {"channels", x[3]}};
  pass.add(0, pass.graph().emit1("unflatten", {dy}, std::move(attrs), pass.node().name + "/dx"));
}
void reverse_unflatten(Reverse& pass) {
  const ValueId dy = pass.out_grad(0);
  if (dy == kNoValue) return;
  pass.add(0, pass.graph().emit1("flatten", {dy}, {}, pass.node().name + "/dx"));
}

// A channel is as many features as it has pixels.
void tie_features(ChannelTies& ties, ValueId image, ValueId row) {
  const std::int64_t channels = ties.shape(image)[3], pixels = ties.shape(image)[1] * ties.shape(image)[2];
  for (std::int64_t i = 0; i < channels * pixels; ++i) ties.tie(image, 3, i / pixels, row, 1, i);
}
void tie_flatten(ChannelTies& ties) { tie_features(ties, ties.node().in[0], ties.node().out[0]); }
void tie_unflatten(ChannelTies& ties) { tie_features(ties, ties.node().out[0], ties.node().in[0]); }
void resize_unflatten(const KeptEntries& kept, const Node& node, Attrs& attrs) {
  attrs.set("channels", std::ssize(kept.kept(node.out[0], 3)));
}

void transpose(const KernelCall& call, std::int64_t count, std::int64_t rows, std::int64_t cols) {
  with_float_type(call.out[0].dtype, [&]<class T>() {
    for_rows(call.exec, count * cols, TransposeRow<T>{call.in[0].as<T>(), call.out[0].as<T>(), rows, cols},
             rows_worth(rows));
  });
}
void run_flatten(const KernelSpec& spec, const KernelCall& call) {
  const Shape& x = spec.in[0].shape;
  transpose(call, x[0], x[1] * x[2], x[3]);
}
void run_unflatten(const KernelSpec& spec, const KernelCall& call) {
  const Shape& x = spec.out[0].shape;
  transpose(call, x[0], x[3], x[1] * x[2]);
}

}  // namespace

void define_flatten() {
  define_op(
      {.name = "flatten",
       .in_double = in_double::flatten,
       .infer = infer_flatten,
       .reverse = reverse_flatten,
       .kernel = {.any = plain_kernel(run_flatten)},
       .channels = {.tie = tie_flatten},
       .examples = {{"4x4x50", {{{3, 4, 4, 50}, DType::F32, "x"}}}, {"1 channel", {{{2, 5, 3, 1}, DType::F32, "x"}}}}});
  define_op({.name = "unflatten",
             .in_double = in_double::unflatten,
             .infer = infer_unflatten,
             .reverse = reverse_unflatten,
             .kernel = {.any = plain_kernel(run_unflatten)},
             .channels = {.tie = tie_unflatten, .resize = resize_unflatten},
             .examples = {{"3x2x5",
                           {{{4, 30}, DType::F32, "x"}},
                           {{"height", std::int64_t{3}}, {"width", std::int64_t{2}}, {"channels", std::int64_t{5}}}}}});
}

}  // namespace winnow::ops
