// layer_norm over the last axis, and its gradient.
//   in  x {..., C}, gamma {C}, beta {C}    out y, mean {rows}, rstd {rows}    attrs: eps
#include "kernels/functors/layer_norm.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

std::vector<ValueInfo> infer_layer_norm_forward(Infos in, const Attrs& attrs) {
  require(in.size() == 3, "takes x, gamma and beta");
  require(in[0].shape.rank() >= 2 && is_float(in[0].dtype), "x must be {..., channels} in f32 or bf16");
  const Shape channels{in[0].shape[-1]}, rows{in[0].shape.numel() / in[0].shape[-1]};
  require(in[1].shape == channels && in[2].shape == channels && in[1].dtype == DType::F32 && in[2].dtype == DType::F32,
          fmt::format("gamma and beta must be {} in f32", channels.text()));
  require(attrs.real("eps") > 0, "eps must be positive");
  return {{in[0].shape, in[0].dtype}, {rows, DType::F32}, {rows, DType::F32}};
}

std::vector<ValueInfo> infer_layer_norm_backward(Infos in, const Attrs&) {
  require(in.size() == 5, "takes dy, x, gamma, mean and rstd");
  return {{in[1].shape, in[1].dtype}, {in[2].shape, DType::F32}, {in[2].shape, DType::F32}};
}

void reverse_layer_norm(Reverse& r) {
  if (r.out_grad(0) == kNoValue) return;
  const Node& node = r.node();
  const auto grads =
      r.graph().emit("layer_norm_backward", {r.out_grad(0), node.in[0], node.in[1], node.out[1], node.out[2]}, {},
                     node.name + "/grad");
  for (std::size_t i = 0; i < 3; ++i) r.add(i, grads[i]);
}

// Its statistics are taken over the channels, so that one less would change the others.
void tie_layer_norm(ChannelTies& ties) {
  last_dim_alike().tie(ties);
  ties.keep(ties.node().in[0], -1);
}

void run_layer_norm_forward(const KernelSpec& spec, const KernelCall& call) {
  const std::int64_t cols = call.in[0].shape[-1];
  with_float_type(call.out[0].dtype, [&]<class T>() {
    for_rows(call.exec, call.in[0].numel() / cols,
             LayerNormRow<T>{call.in[0].as<T>(), call.in[1].as<float>(), call.in[2].as<float>(), call.out[0].as<T>(),
                             call.out[1].as<float>(), call.out[2].as<float>(), cols, spec.real("eps")},
             rows_worth(4 * cols));
  });
}

class LayerNormBackward final : public Kernel {
 public:
  explicit LayerNormBackward(const KernelSpec& spec)
      : cols_(spec.in[1].shape[-1]),
        rows_(spec.in[1].shape.numel() / cols_),
        chunks_((rows_ + kChunkRows - 1) / kChunkRows) {}
  std::size_t scratch_bytes() const override { return sizeof(float) * static_cast<std::size_t>(2 * chunks_ * cols_); }
  void run(const KernelCall& call) override {
    const auto &in = call.in, &out = call.out;
    auto* partial = reinterpret_cast<float*>(call.exec.scratch);
    const auto *mean = in[3].as<float>(), *rstd = in[4].as<float>();
    with_float_type(out[0].dtype, [&]<class T>() {
      const auto *dy = in[0].as<T>(), *x = in[1].as<T>();
      // The sums first: dx may take the memory of dy.
      for_rows(call.exec, chunks_, LayerNormGradientChunk<T>{dy, x, mean, rstd, partial, rows_, cols_, kChunkRows},
               rows_worth(4 * kChunkRows * cols_));
      for_rows(call.exec, rows_, LayerNormBackwardRow<T>{dy, x, in[2].as<float>(), mean, rstd, out[0].as<T>(), cols_},
               rows_worth(4 * cols_));
    });
    for_each(call.exec, cols_, LayerNormGradientFold{partial, out[1].as<float>(), out[2].as<float>(), chunks_, cols_});
  }

 private:
  static constexpr std::int64_t kChunkRows = 64;
  std::int64_t cols_, rows_, chunks_;
};

}  // namespace

void define_layer_norm() {
  define_op(
      {.name = "layer_norm",
       .in_double = in_double::layer_norm,
       .role = OpRole::Norm,
       .infer = infer_layer_norm_forward,
       .reverse = reverse_layer_norm,
       .kernel = {.any = plain_kernel(run_layer_norm_forward)},
       .inplace = 0,
       .channels = {.tie = tie_layer_norm},
       .examples = {
           {.label = "tokens", .in = {{{2, 7, 20}}, {{20}}, {{20}}}, .attrs = {{"eps", 1e-3}}, .tolerance = 1e-2},
           {.label = "many rows", .in = {{{150, 5}}, {{5}}, {{5}}}, .attrs = {{"eps", 1e-2}}, .tolerance = 1e-2}}});
  define_op({.name = "layer_norm_backward",
             .in_double = in_double::layer_norm_backward,
             .infer = infer_layer_norm_backward,
             .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<LayerNormBackward>(spec); }},
             .inplace = 0});
}

}  // namespace winnow::ops
