// cast: f32 <-> bf16, rounded to nearest even. Attribute channels: so many of images in bf16, zeros behind those of x
// (core/fit_channels.h); no gradient goes through that.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"
#include "kernels/functors/pack_weights.h"

namespace winnow::ops {
namespace {

std::vector<ValueInfo> infer_cast(std::span<const ValueInfo> in, const Attrs& attrs) {
  require(in.size() == 1 && is_float(in[0].dtype), "takes one f32 or bf16 input");
  const std::string& dtype = attrs.text("dtype");
  require(dtype == "f32" || dtype == "bf16", "attribute dtype must be f32 or bf16, not " + dtype);
  const Shape& x = in[0].shape;
  if (!attrs.has("channels")) return {{x, dtype == "f32" ? DType::F32 : DType::BF16}};
  require(is_image(in[0]) && in[0].dtype == DType::F32 && dtype == "bf16" && attrs.integer("channels") > x[3],
          "attribute channels is of NHWC images from f32 to bf16, and more than they have");
  return {{Shape{x[0], x[1], x[2], attrs.integer("channels")}, DType::BF16}};
}

void run_cast(const KernelSpec& spec, const KernelCall& call) {
  const TensorView &x = call.in[0], &y = call.out[0];
  if (spec.node.attrs.has("channels")) {
    return for_each(call.exec, y.numel(),
                    FitChannels<float, bf16>{x.as<float>(), y.as<bf16>(), spec.in[0].shape[3], spec.out[0].shape[3]});
  }
  with_float_type(x.dtype, [&]<class From>() {
    with_float_type(y.dtype, [&]<class To>() {
      for_each(call.exec, x.numel(), Cast<From, To>{x.as<From>(), y.as<To>()});
    });
  });
}

}  // namespace

void define_cast() {
  define_op({
      .name = "cast",
      .in_double = in_double::copy,
      .infer = infer_cast,
      .reverse =
          [](Reverse& r) {
            const DType from = r.graph().value(r.node().in[0]).dtype;
            r.add(0, r.graph().emit1("cast", {r.out_grad(0)}, {{"dtype", std::string(name_of(from))}},
                                     r.node().name + "/grad"));
          },
      .kernel = {.any = plain_kernel(run_cast)},
      .channels = every_dim_alike(),
      .examples = {{.label = "to_f32", .in = {{{4, 5}}}, .attrs = {{"dtype", std::string("f32")}}},
                   {.label = "to_bf16",
                    .in = {{{4, 5}}},
                    .attrs = {{"dtype", std::string("bf16")}},
                    .gradient = OpExample::Gradient::Surrogate}},
  });
}

}  // namespace winnow::ops
