// shortcut_pad (attrs stride, channels, front): ResNet's shortcut without parameters, and its gradient. `front` of the
// new channels come before those of x; without it half of them.
#include <algorithm>

#include "core/double_ops.h"
#include "core/error.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/layout.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

ShortcutShape shortcut_pad_shape(const Shape& x, const Attrs& attrs) {
  const std::int64_t channels = attrs.integer("channels");
  return {.batch = x[0],
          .height = x[1],
          .width = x[2],
          .channels = x[3],
          .stride = attrs.integer("stride"),
          .out_channels = channels,
          .front = attrs.integer("front", (channels - x[3]) / 2)};
}

std::vector<ValueInfo> infer_shortcut_pad_forward(Infos in, const Attrs& attrs) {
  require(in.size() == 1 && in[0].shape.rank() == 4 && is_float(in[0].dtype), "takes NHWC images in f32 or bf16");
  const ShortcutShape s = shortcut_pad_shape(in[0].shape, attrs);
  require(s.stride >= 1 && s.front >= 0 && s.out_channels >= s.channels + s.front,
          "stride is at least 1 and channels at least those of x and the ones in front");
  return {{Shape{s.batch, s.out_height(), s.out_width(), s.out_channels}, in[0].dtype}};
}
std::vector<ValueInfo> infer_shortcut_pad_backward(Infos in, const Attrs& attrs) {
  return {{Shape{in[0].shape[0], attrs.integer("height"), attrs.integer("width"), attrs.integer("in_channels")},
           in[0].dtype}};
}

void tie_shortcut_pad_channels(ChannelTies& ties) {
  const Node& node = ties.node();
  const ShortcutShape s = shortcut_pad_shape(ties.shape(node.in[0]), node.attrs);
  for (std::int64_t i = 0; i < s.channels; ++i) ties.tie(node.in[0], 3, i, node.out[0], 3, s.front + i);
}
// Zeros in front and behind may become fewer on one side than on the other.
void resize_shortcut_pad(const KeptEntries& kept, const Node& node, Attrs& attrs) {
  const std::int64_t front = shortcut_pad_shape(kept.shape(node.in[0]), node.attrs).front;
  const std::vector<std::int64_t> out = kept.kept(node.out[0], 3);
  attrs.set("channels", std::ssize(out));
  attrs.set("front", std::ranges::count_if(out, [front](std::int64_t c) { return c < front; }));
}

void reverse_shortcut_pad(Reverse& pass) {
  const ValueId dy = pass.out_grad(0);
  if (dy == kNoValue) return;
  const Node& node = pass.node();
  const Shape& x = pass.graph().value(node.in[0]).shape;
  Attrs attrs = node.attrs;
  attrs.set("height", x[1]);
  attrs.set("width", x[2]);
  attrs.set("in_channels", x[3]);
  pass.add(0, pass.graph().emit1("shortcut_pad_backward", {dy}, std::move(attrs), node.name + "/dx"));
}

void run_shortcut_pad_forward(const KernelSpec& spec, const KernelCall& call) {
  const ShortcutShape s = shortcut_pad_shape(spec.in[0].shape, spec.node.attrs);
  with_float_type(call.out[0].dtype, [&]<class T>() {
    for_rows(call.exec, s.batch * s.out_height(), ShortcutLine<T>{s, call.in[0].as<T>(), call.out[0].as<T>()},
             rows_worth(s.out_width() * s.out_channels));
  });
}
void run_backward(const KernelSpec& spec, const KernelCall& call) {
  const ShortcutShape s = shortcut_pad_shape(spec.out[0].shape, spec.node.attrs);
  with_float_type(call.out[0].dtype, [&]<class T>() {
    for_rows(call.exec, s.batch * s.height, ShortcutBackwardLine<T>{s, call.in[0].as<T>(), call.out[0].as<T>()},
             rows_worth(s.width * s.channels));
  });
}

OpExample shortcut_pad_example(std::string label, const Shape& x, std::int64_t stride, std::int64_t channels,
                               std::int64_t front = -1) {
  OpExample e{std::move(label), {{x, DType::F32, "x"}}, {{"stride", stride}, {"channels", channels}}};
  if (front >= 0) e.attrs.set("front", front);
  return e;
}

}  // namespace

void define_shortcut_pad() {
  define_op({.name = "shortcut_pad",
             .in_double = in_double::shortcut_pad,
             .infer = infer_shortcut_pad_forward,
             .reverse = reverse_shortcut_pad,
             .kernel = {.any = plain_kernel(run_shortcut_pad_forward)},
             .channels = {.tie = tie_shortcut_pad_channels, .resize = resize_shortcut_pad},
             .examples = {shortcut_pad_example("stride 2, twice the channels", {2, 6, 6, 16}, 2, 32),
                          shortcut_pad_example("odd sizes", {2, 5, 7, 3}, 2, 8),
                          shortcut_pad_example("stride 1", {2, 3, 3, 4}, 1, 6),
                          shortcut_pad_example("more in front than behind", {2, 4, 4, 3}, 2, 8, 4)}});
  define_op({.name = "shortcut_pad_backward",
             .in_double = in_double::shortcut_pad_backward,
             .infer = infer_shortcut_pad_backward,
             .kernel = {.any = plain_kernel(run_backward)}});
}

}  // namespace winnow::ops
