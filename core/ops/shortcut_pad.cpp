// shortcut_pad (attrs stride, channels): ResNet's shortcut without parameters, and its gradient.
#include "core/error.h"
#include "core/op.h"
#include "core/ops/dispatch.h"
#include "kernels/cpu/layout.h"

namespace winnow::ops {
namespace {

using cpu::ShortcutShape;
using Infos = std::span<const ValueInfo>;

ShortcutShape shape_of(const Shape& x, const Attrs& attrs) {
  return {.batch = x[0],
          .height = x[1],
          .width = x[2],
          .channels = x[3],
          .stride = attrs.integer("stride"),
          .out_channels = attrs.integer("channels")};
}

std::vector<ValueInfo> infer_forward(Infos in, const Attrs& attrs) {
  require(in.size() == 1 && in[0].shape.rank() == 4 && is_float(in[0].dtype), "takes NHWC images in f32 or bf16");
  const ShortcutShape s = shape_of(in[0].shape, attrs);
  require(s.stride >= 1 && s.out_channels >= s.channels, "stride is at least 1 and channels at least those of x");
  return {{Shape{s.batch, s.out_height(), s.out_width(), s.out_channels}, in[0].dtype}};
}
std::vector<ValueInfo> infer_backward(Infos in, const Attrs& attrs) {
  return {{Shape{in[0].shape[0], attrs.integer("height"), attrs.integer("width"), attrs.integer("in_channels")},
           in[0].dtype}};
}

void reverse(Reverse& pass) {
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

void run_forward(const KernelSpec& spec, const KernelCall& call) {
  const ShortcutShape s = shape_of(spec.in[0].shape, spec.node.attrs);
  if (spec.in[0].dtype == DType::BF16) {
    cpu::shortcut_forward(s, call.in[0].as<const bf16>(), call.out[0].as<bf16>(), spec.threads);
  } else {
    cpu::shortcut_forward(s, call.in[0].as<const float>(), call.out[0].as<float>(), spec.threads);
  }
}
void run_backward(const KernelSpec& spec, const KernelCall& call) {
  const ShortcutShape s = shape_of(spec.out[0].shape, spec.node.attrs);
  if (spec.in[0].dtype == DType::BF16) {
    cpu::shortcut_backward(s, call.in[0].as<const bf16>(), call.out[0].as<bf16>(), spec.threads);
  } else {
    cpu::shortcut_backward(s, call.in[0].as<const float>(), call.out[0].as<float>(), spec.threads);
  }
}

OpExample example(std::string label, const Shape& x, std::int64_t stride, std::int64_t channels) {
  return {std::move(label), {{x, DType::F32, "x"}}, {{"stride", stride}, {"channels", channels}}};
}

}  // namespace

void define_shortcut_pad() {
  define_op({.name = "shortcut_pad",
             .infer = infer_forward,
             .reverse = reverse,
             .kernel = {.cpu = plain_kernel(run_forward)},
             .examples = {example("stride 2, twice the channels", {2, 6, 6, 16}, 2, 32),
                          example("odd sizes", {2, 5, 7, 3}, 2, 8), example("stride 1", {2, 3, 3, 4}, 1, 6)}});
  define_op({.name = "shortcut_pad_backward", .infer = infer_backward, .kernel = {.cpu = plain_kernel(run_backward)}});
}

}  // namespace winnow::ops
