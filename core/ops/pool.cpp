// max_pool2d, avg_pool2d (attrs kernel, stride, pad) and global_avg_pool, with their gradients. Images are NHWC.
#include "kernels/cpu/pool.h"

#include "core/double_ops.h"
#include "core/error.h"
#include "core/op.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

PoolShape windows(const Shape& x, const Attrs& attrs) {
  const std::int64_t kernel = attrs.integer("kernel");
  return {.batch = x[0],
          .height = x[1],
          .width = x[2],
          .channels = x[3],
          .kernel_h = kernel,
          .kernel_w = kernel,
          .stride = attrs.integer("stride", kernel),
          .pad = attrs.integer("pad", 0)};
}
// One window as large as the image.
PoolShape whole(const Shape& x, const Attrs&) {
  return {.batch = x[0],
          .height = x[1],
          .width = x[2],
          .channels = x[3],
          .kernel_h = x[1],
          .kernel_w = x[2],
          .stride = 1,
          .pad = 0};
}

PoolShape checked(Infos in, const Attrs& attrs) {
  require(in.size() == 1 && is_image(in[0]), "takes NHWC images in f32 or bf16");
  const PoolShape s = windows(in[0].shape, attrs);
  require(s.kernel_h >= 1 && s.kernel_h <= 15 && s.stride >= 1, "kernel is between 1 and 15, stride at least 1");
  require(s.pad >= 0 && 2 * s.pad <= s.kernel_h, "pad is at most half of the kernel");
  require(s.height + 2 * s.pad >= s.kernel_h && s.width + 2 * s.pad >= s.kernel_w,
          "the window is larger than the padded image");
  return s;
}

std::vector<ValueInfo> infer_windows(Infos in, const Attrs& attrs) {
  const PoolShape s = checked(in, attrs);
  return {{Shape{s.batch, s.out_height(), s.out_width(), s.channels}, in[0].dtype}};
}
std::vector<ValueInfo> infer_max(Infos in, const Attrs& attrs) {
  std::vector<ValueInfo> out = infer_windows(in, attrs);
  out.push_back({out[0].shape, DType::U8});
  return out;
}
std::vector<ValueInfo> infer_global(Infos in, const Attrs&) {
  require(in.size() == 1 && is_image(in[0]), "takes NHWC images in f32 or bf16");
  return {{Shape{in[0].shape[0], in[0].shape[3]}, in[0].dtype}};
}
std::vector<ValueInfo> infer_pool_backward(Infos in, const Attrs& attrs) {
  return {{Shape{in[0].shape[0], attrs.integer("height"), attrs.integer("width"), in[0].shape[-1]}, in[0].dtype}};
}

// Emits `op` on dy and what the forward pass saved.
void emit_backward(Reverse& pass, const char* op, bool saved) {
  const ValueId dy = pass.out_grad(0);
  if (dy == kNoValue) return;
  const Node& node = pass.node();
  const Shape& x = pass.graph().value(node.in[0]).shape;
  Attrs attrs = node.attrs;
  attrs.set("height", x[1]);
  attrs.set("width", x[2]);
  std::vector<ValueId> in{dy};
  if (saved) in.push_back(node.out[1]);
  pass.add(0, pass.graph().emit1(op, std::move(in), std::move(attrs), node.name + "/dx"));
}

void run_max(const KernelSpec& spec, const KernelCall& call) {
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    cpu::max_pool_forward(windows(spec.in[0].shape, spec.node.attrs), call.in[0].as<const T>(), call.out[0].as<T>(),
                          call.out[1].as<std::uint8_t>(), spec.threads);
  });
}
void run_max_backward(const KernelSpec& spec, const KernelCall& call) {
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    cpu::max_pool_backward(windows(spec.out[0].shape, spec.node.attrs), call.in[0].as<const T>(),
                           call.in[1].as<const std::uint8_t>(), call.out[0].as<T>(), spec.threads);
  });
}
template <PoolShape (*shape_of)(const Shape&, const Attrs&)>
void run_avg(const KernelSpec& spec, const KernelCall& call) {
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    cpu::avg_pool_forward(shape_of(spec.in[0].shape, spec.node.attrs), call.in[0].as<const T>(), call.out[0].as<T>(),
                          spec.threads);
  });
}
template <PoolShape (*shape_of)(const Shape&, const Attrs&)>
void run_avg_backward(const KernelSpec& spec, const KernelCall& call) {
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    cpu::avg_pool_backward(shape_of(spec.out[0].shape, spec.node.attrs), call.in[0].as<const T>(), call.out[0].as<T>(),
                           spec.threads);
  });
}

// On devices: one thread an element of what is written.
void run_max_elements(const KernelSpec& spec, const KernelCall& call) {
  const PoolShape s = windows(spec.in[0].shape, spec.node.attrs);
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    for_rows(call.exec, call.out[0].numel(),
             MaxPool<T>{s, call.in[0].as<T>(), call.out[0].as<T>(), call.out[1].as<std::uint8_t>()});
  });
}
void run_max_backward_elements(const KernelSpec& spec, const KernelCall& call) {
  const PoolShape s = windows(spec.out[0].shape, spec.node.attrs);
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    for_rows(call.exec, call.out[0].numel(),
             MaxPoolBackward<T>{s, call.in[0].as<T>(), call.in[1].as<std::uint8_t>(), call.out[0].as<T>()});
  });
}
template <PoolShape (*shape_of)(const Shape&, const Attrs&)>
void run_avg_elements(const KernelSpec& spec, const KernelCall& call) {
  const PoolShape s = shape_of(spec.in[0].shape, spec.node.attrs);
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    for_rows(call.exec, call.out[0].numel(), AvgPool<T>{s, call.in[0].as<T>(), call.out[0].as<T>()});
  });
}
template <PoolShape (*shape_of)(const Shape&, const Attrs&)>
void run_avg_backward_elements(const KernelSpec& spec, const KernelCall& call) {
  const PoolShape s = shape_of(spec.out[0].shape, spec.node.attrs);
  with_float_type(spec.in[0].dtype, [&]<class T>() {
    for_rows(call.exec, call.out[0].numel(), AvgPoolBackward<T>{s, call.in[0].as<T>(), call.out[0].as<T>()});
  });
}

OpExample pool_example(std::string label, const Shape& x, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {std::move(label), {{x, DType::F32, "x"}}, {{"kernel", kernel}, {"stride", stride}, {"pad", pad}}};
}
std::vector<OpExample> pool_examples() {
  return {pool_example("2x2", {2, 6, 4, 16}, 2, 2, 0), pool_example("3x3, stride 2, pad 1", {2, 7, 5, 20}, 3, 2, 1),
          pool_example("2x2, a row left over", {3, 5, 5, 3}, 2, 2, 0)};
}

}  // namespace

void define_pool() {
  define_op({.name = "max_pool2d",
             .in_double = in_double::max_pool,
             .infer = infer_max,
             .reverse = [](Reverse& pass) { emit_backward(pass, "max_pool2d_backward", true); },
             .kernel = {.cpu = plain_kernel(run_max), .cuda = plain_kernel(run_max_elements)},
             .channels = last_dim_alike(),
             .examples = pool_examples()});
  define_op({.name = "max_pool2d_backward",
             .in_double = in_double::max_pool_backward,
             .infer = infer_pool_backward,
             .kernel = {.cpu = plain_kernel(run_max_backward), .cuda = plain_kernel(run_max_backward_elements)}});
  define_op({.name = "avg_pool2d",
             .in_double = in_double::avg_pool,
             .infer = infer_windows,
             .reverse = [](Reverse& pass) { emit_backward(pass, "avg_pool2d_backward", false); },
             .kernel = {.cpu = plain_kernel(run_avg<windows>), .cuda = plain_kernel(run_avg_elements<windows>)},
             .channels = last_dim_alike(),
             .examples = pool_examples()});
  define_op({.name = "avg_pool2d_backward",
             .in_double = in_double::avg_pool_backward,
             .infer = infer_pool_backward,
             .kernel = {.cpu = plain_kernel(run_avg_backward<windows>),
                        .cuda = plain_kernel(run_avg_backward_elements<windows>)}});
  define_op({.name = "global_avg_pool",
             .in_double = in_double::avg_pool,
             .infer = infer_global,
             .reverse = [](Reverse& pass) { emit_backward(pass, "global_avg_pool_backward", false); },
             .kernel = {.cpu = plain_kernel(run_avg<whole>), .cuda = plain_kernel(run_avg_elements<whole>)},
             .channels = last_dim_alike(),
             .examples = {{"8x8", {{{2, 8, 8, 20}, DType::F32, "x"}}}, {"odd", {{{3, 5, 3, 3}, DType::F32, "x"}}}}});
  define_op({.name = "global_avg_pool_backward",
             .in_double = in_double::avg_pool_backward,
             .infer = infer_pool_backward,
             .kernel = {.cpu = plain_kernel(run_avg_backward<whole>),
                        .cuda = plain_kernel(run_avg_backward_elements<whole>)}});
}

}  // namespace winnow::ops
