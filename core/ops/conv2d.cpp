// conv2d and its two gradients. Activations NHWC, weights {out, in / groups, kernel_h, kernel_w} in f32. Attribute "relu": a
// ReLU behind the bias. Attribute in_channels: zeros lie behind so many channels of x (core/fit_channels.h).
//   in  x, weights, bias|none   out y, and {2, out} where attribute sums is 1: y and y * y summed by channel. No gradient
//   goes through the sums.
#include <utility>

#include "core/double_ops.h"
#include "core/error.h"
#include "core/ops/conv_shape.h"
#include "core/ops/dispatch.h"
#include "core/ops/layer_kernel.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

ConvShape conv2d_shape(Direction direction, Infos in, Infos out, const Attrs& attrs) {
  switch (direction) {
    case Direction::Forward: {
      ConvShape shape = conv_shape(in[0].shape, in[1].shape, attrs, in[0].dtype, has_bias(in));
      shape.sums = out.size() == 2;
      return shape;
    }
    case Direction::BackwardData:
      return conv_shape(out[0].shape, in[1].shape, attrs, in[0].dtype, false);
    default:
      return conv_shape(in[0].shape, out[0].shape, attrs, in[0].dtype, out.size() == 2);
  }
}

// x has as many channels as the layer, or just those that its library wants.
void require_fitting_x(ConvShape s) {
  const std::int64_t padded = std::exchange(s.padded_in, 0);
  require(padded == 0 || (padded > s.in && padded == cuda::wanted_channels(s)),
          fmt::format("a convolution of {} channels does not take them in {}", s.in, padded));
}

std::vector<ValueInfo> infer_conv2d_forward(Infos in, const Attrs& attrs) {
  require(in.size() == 2 || in.size() == 3, "takes x, weights and bias or none");
  require(is_image(in[0]), "x must be NHWC in f32 or bf16");
  require(in[1].shape.rank() == 4 && in[1].dtype == DType::F32,
          "weights must be {out, in / groups, kernel_h, kernel_w} in f32");
  const ConvShape s = conv_shape(in[0].shape, in[1].shape, attrs, in[0].dtype, has_bias(in));
  require_fitting_x(s);
  require(s.stride >= 1 && s.pad >= 0 && s.groups >= 1, "stride and groups are at least 1, pad at least 0");
  require(s.in % s.groups == 0 && s.out % s.groups == 0,
          fmt::format("groups ({}) must divide the channels in and out", s.groups));
  require(in[1].shape[1] == s.in / s.groups,
          fmt::format("weights take {} channels in, x has {} in {} groups", in[1].shape[1], s.in, s.groups));
  require(s.height + 2 * s.pad >= s.kernel_h && s.width + 2 * s.pad >= s.kernel_w,
          "the kernel is larger than the padded image");
  require(!s.bias || (in[2].shape[0] == s.out && in[2].dtype == DType::F32), "bias must be {out} in f32");
  require(!has_relu(attrs) || s.bias, "a convolution with a ReLU has a bias");
  require(!has_relu(attrs) || attrs.integer("sums", 0) == 0, "a convolution has a ReLU or sums, not both");
  std::vector<ValueInfo> out{{Shape{s.batch, s.out_height(), s.out_width(), s.out}, in[0].dtype}};
  if (attrs.integer("sums", 0) != 0) out.push_back({Shape{2, s.out}, DType::F32});
  return out;
}

std::vector<ValueInfo> infer_conv2d_backward_data(Infos in, const Attrs& attrs) {
  require(in.size() == 2 && is_image(in[0]), "takes dy and weights");
  const Shape& dy = in[0].shape;
  return {{Shape{dy[0], attrs.integer("height"), attrs.integer("width"), in[1].shape[1] * attrs.integer("groups", 1)},
           in[0].dtype}};
}

std::vector<ValueInfo> infer_conv2d_backward_weights(Infos in, const Attrs& attrs) {
  require(in.size() == 2 && is_image(in[0]) && is_image(in[1]), "takes x and dy");
  const std::int64_t out = in[1].shape[3], taken = attrs.integer("in_channels", in[0].shape[3]);
  std::vector<ValueInfo> result{
      {Shape{out, taken / attrs.integer("groups", 1), attrs.integer("kernel_h"), attrs.integer("kernel_w")},
       DType::F32}};
  require_fitting_x(conv_shape(in[0].shape, result[0].shape, attrs, in[0].dtype, false));
  if (attrs.integer("bias", 0) != 0) result.push_back({Shape{out}, DType::F32});
  return result;
}

void reverse_conv2d(Reverse& pass) {
  ValueId dy = pass.out_grad(0);
  if (dy == kNoValue) return;
  const Node& node = pass.node();
  Graph& graph = pass.graph();
  if (has_relu(node.attrs)) dy = graph.emit1("relu_backward", {dy, node.out[0]}, {}, node.name + "/grad");
  const Shape x = graph.value(node.in[0]).shape, w = graph.value(node.in[1]).shape;
  Attrs attrs{{"stride", node.attrs.integer("stride", 1)},
              {"pad", node.attrs.integer("pad", 0)},
              {"groups", node.attrs.integer("groups", 1)}};
  const bool bias = node.in.size() == 3 && pass.wants(2);
  if (pass.wants(1) || bias) {
    Attrs more = attrs;
    more.set("kernel_h", w[2]);
    more.set("kernel_w", w[3]);
    more.set("bias", std::int64_t{bias});
    const auto grads = graph.emit("conv2d_backward_weights", {node.in[0], dy}, more, node.name + "/dw");
    pass.add(1, grads[0]);
    if (bias) pass.add(2, grads[1]);
  }
  if (pass.wants(0)) {
    attrs.set("height", x[1]);
    attrs.set("width", x[2]);
    pass.add(0, graph.emit1("conv2d_backward_data", {dy, node.in[1]}, attrs, node.name + "/dx"));
  }
}

// A depthwise convolution passes each channel on. With several channels a group, equal places of all groups go together,
// so that groups stay equally large.
void tie_conv2d_channels(ChannelTies& ties) {
  const Node& node = ties.node();
  const ValueId x = node.in[0], w = node.in[1], y = node.out[0];
  const std::int64_t groups = node.attrs.integer("groups", 1), taken = ties.shape(w)[1];
  const std::int64_t out = ties.shape(y)[3], made = out / groups;
  ties.tie_dims(w, 0, y, 3);
  if (node.in.size() == 3) ties.tie_dims(node.in[2], 0, y, 3);
  if (groups > 1 && taken == 1) {
    for (std::int64_t c = 0; c < out; ++c) ties.tie(x, 3, c / made, y, 3, c);
    return;
  }
  for (std::int64_t c = 0; c < ties.shape(x)[3]; ++c) ties.tie(x, 3, c, w, 1, c % taken);
  for (std::int64_t c = made; c < out; ++c) ties.tie(y, 3, c % made, y, 3, c);
}
void resize_conv2d(const KeptEntries& kept, const Node& node, Attrs& attrs) {
  const bool depthwise = kept.shape(node.in[1])[1] == 1 && attrs.integer("groups", 1) > 1;
  if (depthwise) attrs.set("groups", std::ssize(kept.kept(node.in[0], 3)));
}

// Do the sums of a node come along with y on this device?
bool sums_come_along(const KernelSpec& spec) {
  ConvShape shape = conv2d_shape(Direction::Forward, spec.in, spec.out, spec.node.attrs);
  shape.sums = true;
  if (spec.device == Device::Cpu) return false;
  const auto layer = spec.device == Device::Dry ? cuda::dry_layer(shape, Direction::Forward)
                                                : cuda::make_layer(shape, Direction::Forward);
  return layer->writes_sums();
}

struct Case {
  const char* label;
  Shape x, w;
  std::int64_t stride, pad, groups;
  bool bias, sums = false, relu = false;
};

std::vector<OpExample> conv2d_examples() {
  const Case cases[] = {
      {"3 channels, 3x3, pad 1", {2, 6, 6, 3}, {16, 3, 3, 3}, 1, 1, 1, false},
      {"stride 2", {2, 8, 8, 16}, {32, 16, 3, 3}, 2, 1, 1, false},
      {"1x1, stride 2", {2, 6, 6, 16}, {32, 16, 1, 1}, 2, 0, 1, false},
      {"1 channel, 5x5, bias", {2, 9, 9, 1}, {20, 1, 5, 5}, 1, 0, 1, true},
      {"20 channels, 5x5, bias", {2, 7, 7, 20}, {10, 20, 5, 5}, 1, 0, 1, true},
      {"odd sizes", {3, 5, 7, 5}, {7, 5, 3, 3}, 2, 1, 1, true},
      {"bias and ReLU", {2, 6, 6, 3}, {16, 3, 3, 3}, 1, 1, 1, true, false, true},
      {"4 groups", {2, 5, 5, 16}, {8, 4, 3, 3}, 1, 1, 4, false},
      {"depthwise", {2, 6, 6, 16}, {16, 1, 3, 3}, 1, 1, 16, false},
      {"depthwise, stride 2, 20 channels, bias", {2, 7, 7, 20}, {20, 1, 3, 3}, 2, 1, 20, true},
      {"with sums", {2, 6, 6, 16}, {16, 16, 3, 3}, 1, 1, 1, false, true},
      {"1x1, 3 channels, with sums", {2, 5, 5, 3}, {8, 3, 1, 1}, 1, 0, 1, false, true},
      {"5 groups, bias, with sums", {2, 5, 5, 10}, {15, 2, 3, 3}, 1, 1, 5, true, true},
  };
  std::vector<OpExample> result;
  for (const Case& c : cases) {
    OpExample example{c.label, {{c.x, DType::F32, "x"}, {c.w, DType::F32, "weight"}}};
    if (c.bias) example.in.push_back({Shape{c.w[0]}, DType::F32, "bias"});
    example.attrs = {{"stride", c.stride}, {"pad", c.pad}, {"groups", c.groups}};
    if (c.sums) example.attrs.set("sums", std::int64_t{1});
    if (c.relu) example.attrs.set("relu", std::int64_t{1});
    if (c.relu) example.bf16 = false;  // the product is rounded once more, before the bias
    result.push_back(std::move(example));
  }
  return result;
}

}  // namespace

void define_conv2d() {
  define_layer("conv2d",
               {infer_conv2d_forward,
                infer_conv2d_backward_data,
                infer_conv2d_backward_weights,
                in_double::conv2d,
                in_double::conv2d_backward_data,
                in_double::conv2d_backward_weights,
                reverse_conv2d,
                {tie_conv2d_channels, resize_conv2d},
                sums_come_along},
               conv2d_shape, conv2d_examples());
}

}  // namespace winnow::ops
