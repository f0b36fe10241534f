// linear and its two gradients: x {rows, in}, weights {out, in} in f32, y {rows, out}.
#include "core/double_ops.h"
#include "core/error.h"
#include "core/ops/dispatch.h"
#include "core/ops/layer_kernel.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

LinearShape linear_shape(Direction direction, Infos in, Infos out, const Attrs&) {
  const bool data = direction == Direction::BackwardData;
  const Shape& x = data ? out[0].shape : in[0].shape;
  const Shape& y = direction == Direction::Forward ? out[0].shape : data ? in[0].shape : in[1].shape;
  const bool bias = direction == Direction::Forward ? has_bias(in) : out.size() == 2;
  return {.rows = x[0], .in = x[1], .out = y[1], .dtype = in[0].dtype, .bias = bias};
}

bool is_matrix(const ValueInfo& info) { return info.shape.rank() == 2 && is_float(info.dtype); }

std::vector<ValueInfo> infer_linear_forward(Infos in, const Attrs&) {
  require(in.size() == 2 || in.size() == 3, "takes x, weights and bias or none");
  require(is_matrix(in[0]), "x must be {rows, features} in f32 or bf16");
  require(in[1].shape.rank() == 2 && in[1].dtype == DType::F32, "weights must be {out, in} in f32");
  require(in[1].shape[1] == in[0].shape[1],
          fmt::format("weights take {} features, x has {}", in[1].shape[1], in[0].shape[1]));
  require(!has_bias(in) || (in[2].shape[0] == in[1].shape[0] && in[2].dtype == DType::F32),
          "bias must be {out} in f32");
  return {{Shape{in[0].shape[0], in[1].shape[0]}, in[0].dtype}};
}

std::vector<ValueInfo> infer_linear_backward_data(Infos in, const Attrs&) {
  require(in.size() == 2 && is_matrix(in[0]), "takes dy and weights");
  return {{Shape{in[0].shape[0], in[1].shape[1]}, in[0].dtype}};
}

std::vector<ValueInfo> infer_linear_backward_weights(Infos in, const Attrs& attrs) {
  require(in.size() == 2 && is_matrix(in[0]) && is_matrix(in[1]), "takes x and dy");
  const std::int64_t out = in[1].shape[1];
  std::vector<ValueInfo> result{{Shape{out, in[0].shape[1]}, DType::F32}};
  if (attrs.integer("bias", 0) != 0) result.push_back({Shape{out}, DType::F32});
  return result;
}

void reverse_linear(Reverse& pass) {
  const ValueId dy = pass.out_grad(0);
  if (dy == kNoValue) return;
  const Node& node = pass.node();
  Graph& graph = pass.graph();
  const bool bias = node.in.size() == 3 && pass.wants(2);
  if (pass.wants(1) || bias) {
    const auto grads =
        graph.emit("linear_backward_weights", {node.in[0], dy}, {{"bias", std::int64_t{bias}}}, node.name + "/dw");
    pass.add(1, grads[0]);
    if (bias) pass.add(2, grads[1]);
  }
  if (pass.wants(0)) {
    pass.add(0, graph.emit1("linear_backward_data", {dy, node.in[1]}, {}, node.name + "/dx"));
  }
}

void tie_linear_channels(ChannelTies& ties) {
  const Node& node = ties.node();
  ties.tie_dims(node.in[1], 0, node.out[0], 1);
  ties.tie_dims(node.in[1], 1, node.in[0], 1);
  if (node.in.size() == 3) ties.tie_dims(node.in[2], 0, node.out[0], 1);
}

std::vector<OpExample> linear_examples() {
  std::vector<OpExample> result;
  for (const auto& [rows, in, out] : {std::array{4, 32, 16}, {3, 7, 5}, {1, 33, 10}}) {
    result.push_back({fmt::format("{} rows, {} to {}, bias", rows, in, out),
                      {{{rows, in}, DType::F32, "x"}, {{out, in}, DType::F32, "weight"}, {{out}, DType::F32, "bias"}}});
  }
  result.push_back({"no bias", {{{4, 20}, DType::F32, "x"}, {{12, 20}, DType::F32, "weight"}}});
  return result;
}

}  // namespace

void define_linear() {
  define_layer("linear",
               {infer_linear_forward,
                infer_linear_backward_data,
                infer_linear_backward_weights,
                in_double::linear,
                in_double::linear_backward_data,
                in_double::linear_backward_weights,
                reverse_linear,
                {.tie = tie_linear_channels}},
               linear_shape, linear_examples());
}

}  // namespace winnow::ops
