// Ops of mixture-of-depths: top_channels picks channels of each sample by score, gather_channels
// takes them out of the activations, fuse_channels adds the result of a narrow block, scaled by the
// scores, to the whole activations. The indices are constants in the gradient.
#include "kernels/functors/channel_routing.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

constexpr std::int64_t kPixelGrain = 256;

Fusion fusion_of(const Attrs& attrs) {
  const std::string& name = attrs.text("fusion");
  if (name == "first_k") return Fusion::FirstK;
  if (name == "last_k") return Fusion::LastK;
  require(name == "original_positions", "fusion must be first_k, last_k or original_positions, not " + name);
  return Fusion::Original;
}

void require_index(const ValueInfo& activation, const ValueInfo& index) {
  require(activation.shape.rank() == 4, "the activations must be {N, H, W, C}");
  require(index.dtype == DType::I32 && index.shape.rank() == 2 && index.shape[0] == activation.shape[0],
          "the channel indices must be i32 {N, k}");
}

void require_scores(const ValueInfo& activation, const ValueInfo& score) {
  require(score.dtype == DType::F32 && score.shape == Shape{activation.shape[0], activation.shape[3]},
          "the scores must be f32 {N, C}");
}

std::int64_t area(const TensorView& x) { return x.shape[1] * x.shape[2]; }
std::int64_t pixels(const TensorView& x) { return x.shape[0] * area(x); }

void define_top_channels() {
  define_op({
      .name = "top_channels",
      .in_double = in_double::top_channels,
      .infer = [](std::span<const ValueInfo> in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.size() == 1 && in[0].shape.rank() == 2 && in[0].dtype == DType::F32, "takes f32 scores {N, C}");
        const std::int64_t k = attrs.integer("k");
        require(k >= 1 && k <= in[0].shape[1], fmt::format("k must be in [1, {}], not {}", in[0].shape[1], k));
        return {{Shape{in[0].shape[0], k}, DType::I32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   const Shape &s = call.in[0].shape, &o = call.out[0].shape;
                   for_rows(call.exec, s[0],
                            TopChannels{call.in[0].as<float>(), call.out[0].as<std::int32_t>(), s[1], o[1]}, 64);
                 })},
      .examples = {{.label = "three_of_ten",
                    .in = {{{4, 10}}},
                    .attrs = {{"k", std::int64_t{3}}},
                    .gradient = OpExample::Gradient::None,
                    .bf16 = false}},
  });
}

// dy {N, H, W, k}, index {N, k}; attribute channels -> {N, H, W, channels}, zero where nothing was gathered.
void define_scatter_channels() {
  define_op({
      .name = "scatter_channels",
      .in_double = in_double::scatter_channels,
      .infer = [](std::span<const ValueInfo> in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.size() == 2, "takes dy and channel indices");
        require_index(in[0], in[1]);
        const Shape& s = in[0].shape;
        return {{Shape{s[0], s[1], s[2], attrs.integer("channels")}, in[0].dtype}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   const TensorView &dy = call.in[0], &dx = call.out[0];
                   with_float_type(dx.dtype, [&]<class T>() {
                     for_rows(call.exec, pixels(dx),
                              ScatterChannels<T>{dy.as<T>(), call.in[1].as<std::int32_t>(), dx.as<T>(), area(dx),
                                                 dx.shape[3], dy.shape[3]},
                              kPixelGrain);
                   });
                 })},
  });
}

void define_gather_channels() {
  define_op({
      .name = "gather_channels",
      .in_double = in_double::gather_channels,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 2, "takes activations and channel indices");
        require_index(in[0], in[1]);
        const Shape& s = in[0].shape;
        return {{Shape{s[0], s[1], s[2], in[1].shape[1]}, in[0].dtype}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            const std::int64_t channels = r.graph().value(node.in[0]).shape[3];
            r.add(0, r.graph().emit1("scatter_channels", {r.out_grad(0), node.in[1]}, {{"channels", channels}},
                                     node.name + "/grad"));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   const TensorView &x = call.in[0], &y = call.out[0];
                   with_float_type(x.dtype, [&]<class T>() {
                     for_rows(call.exec, pixels(x),
                              GatherChannels<T>{x.as<T>(), call.in[1].as<std::int32_t>(), y.as<T>(), area(x),
                                                x.shape[3], y.shape[3]},
                              kPixelGrain);
                   });
                 })},
      .examples = {{.label = "three_of_six", .in = {{{3, 4, 4, 6}}, {{3, 3}, DType::I32}}}},
  });
}

// dy, scores, index -> du.
void define_fuse_channels_backward_block() {
  define_op({
      .name = "fuse_channels_backward_block",
      .in_double = in_double::fuse_channels_backward_block,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 3, "takes dy, scores and channel indices");
        require_scores(in[0], in[1]);
        require_index(in[0], in[2]);
        const Shape& s = in[0].shape;
        return {{Shape{s[0], s[1], s[2], in[2].shape[1]}, in[0].dtype}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const TensorView &dy = call.in[0], &du = call.out[0];
                   with_float_type(dy.dtype, [&]<class T>() {
                     for_rows(call.exec, pixels(dy),
                              FuseBackwardBlock<T>{dy.as<T>(), call.in[1].as<float>(), call.in[2].as<std::int32_t>(),
                                                   du.as<T>(), area(dy), dy.shape[3], du.shape[3],
                                                   fusion_of(spec.node.attrs)},
                              kPixelGrain);
                   });
                 })},
  });
}

// dy, u, index -> dscores.
void define_fuse_channels_backward_scores() {
  define_op({
      .name = "fuse_channels_backward_scores",
      .in_double = in_double::fuse_channels_backward_scores,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 3 && in[0].dtype == in[1].dtype, "takes dy, u and channel indices");
        require_index(in[0], in[2]);
        return {{Shape{in[0].shape[0], in[0].shape[3]}, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const TensorView &dy = call.in[0], &u = call.in[1];
                   with_float_type(dy.dtype, [&]<class T>() {
                     for_rows(call.exec, dy.shape[0],
                              FuseBackwardScores<T>{dy.as<T>(), u.as<T>(), call.in[2].as<std::int32_t>(),
                                                    call.out[0].as<float>(), area(dy), dy.shape[3], u.shape[3],
                                                    fusion_of(spec.node.attrs)},
                              1);
                   });
                 })},
  });
}

OpExample fuse_example(const std::string& fusion) {
  return {.label = fusion,
          .in = {{{3, 4, 4, 6}}, {{3, 4, 4, 3}}, {{3, 6}}, {{3, 3}, DType::I32}},
          .attrs = {{"fusion", fusion}}};
}

// x, u, scores, index -> y.
void define_fuse_channels() {
  define_op({
      .name = "fuse_channels",
      .in_double = in_double::fuse_channels,
      .infer = [](std::span<const ValueInfo> in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.size() == 4, "takes x, u, scores and channel indices");
        require_index(in[0], in[3]);
        require_scores(in[0], in[2]);
        fusion_of(attrs);
        const Shape& s = in[0].shape;
        require(in[1].shape == Shape{s[0], s[1], s[2], in[3].shape[1]} && in[1].dtype == in[0].dtype,
                "u must be {N, H, W, k} of the type of x");
        return {{in[0].shape, in[0].dtype}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            const ValueId dy = r.out_grad(0);
            r.add(0, dy);
            if (r.wants(1)) {
              r.add(1, r.graph().emit1("fuse_channels_backward_block", {dy, node.in[2], node.in[3]}, node.attrs,
                                       node.name + "/block"));
            }
            if (r.wants(2)) {
              r.add(2, r.graph().emit1("fuse_channels_backward_scores", {dy, node.in[1], node.in[3]}, node.attrs,
                                       node.name + "/scores"));
            }
          },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const TensorView &x = call.in[0], &u = call.in[1];
                   with_float_type(x.dtype, [&]<class T>() {
                     for_rows(call.exec, pixels(x),
                              FuseChannels<T>{x.as<T>(), u.as<T>(), call.in[2].as<float>(),
                                              call.in[3].as<std::int32_t>(), call.out[0].as<T>(), area(x), x.shape[3],
                                              u.shape[3], fusion_of(spec.node.attrs)},
                              kPixelGrain);
                   });
                 })},
      .inplace = 0,
      .examples = {fuse_example("first_k"), fuse_example("last_k"), fuse_example("original_positions")},
  });
}

}  // namespace

void define_channel_routing() {
  define_top_channels();
  define_gather_channels();
  define_scatter_channels();
  define_fuse_channels();
  define_fuse_channels_backward_block();
  define_fuse_channels_backward_scores();
}

}  // namespace winnow::ops
