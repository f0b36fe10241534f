// haste_conv2d: a convolution that merges channels which look alike, tile by tile of its output (HASTE). For inference: it
// has no derivative, and a backward pass through it is an error. In: x NHWC, weights {out, in, kernel_h, kernel_w}, bias or
// none, hash vectors {bits, patch}, where a patch is what a tile sees: (tile - 1) * stride + kernel on each side. Out: y,
// and {N} f32: channels that were left, summed over the patches of an image.
// hash_vectors: {bits, length} f32, drawn from attribute `seed` and the node's name: -1, 0 or 1 with a share `zeros` of 0,
// or normal.
#include "core/error.h"
#include "core/ops/dispatch.h"
#include "kernels/cpu/haste.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/hash_vector.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

HasteShape haste_conv2d_shape(Infos in, const Attrs& attrs) {
  const Shape &x = in[0].shape, &w = in[1].shape;
  return {{.batch = x[0],
           .height = x[1],
           .width = x[2],
           .in = x[3],
           .out = w[0],
           .kernel_h = w[2],
           .kernel_w = w[3],
           .stride = attrs.integer("stride", 1),
           .pad = attrs.integer("pad", 0),
           .groups = 1,
           .dtype = in[0].dtype,
           .bias = in[2].shape.rank() == 1},
          attrs.integer("tile"),
          in[3].shape[0]};
}

std::vector<ValueInfo> infer_haste_conv2d(Infos in, const Attrs& attrs) {
  require(in.size() == 4, "takes x, weights, bias or none, and hash vectors");
  require(in[0].shape.rank() == 4 && is_float(in[0].dtype), "x must be NHWC in f32 or bf16");
  require(in[1].shape.rank() == 4 && in[1].dtype == DType::F32 && in[1].shape[1] == in[0].shape[3],
          "weights must be {out, channels of x, kernel_h, kernel_w} in f32");
  require(in[2].shape.rank() == 0 || (in[2].shape == Shape{in[1].shape[0]} && in[2].dtype == DType::F32),
          "bias must be {out} in f32");
  require(in[3].shape.rank() == 2 && in[3].dtype == DType::F32, "hash vectors must be {bits, patch} in f32");
  const HasteShape s = haste_conv2d_shape(in, attrs);
  require(s.conv.stride >= 1 && s.conv.pad >= 0 && s.tile >= 1, "stride and tile are at least 1, pad at least 0");
  require(s.bits <= 32, "a code has at most 32 bits");
  require(in[3].shape[1] == s.patch(), fmt::format("hash vectors must have {} entries", s.patch()));
  require(s.conv.height + 2 * s.conv.pad >= s.conv.kernel_h && s.conv.width + 2 * s.conv.pad >= s.conv.kernel_w,
          "the kernel is larger than the padded image");
  return {{Shape{s.conv.batch, s.conv.out_height(), s.conv.out_width(), s.conv.out}, in[0].dtype},
          {Shape{s.conv.batch}, DType::F32}};
}

class HasteConvolution final : public Kernel {
 public:
  explicit HasteConvolution(const KernelSpec& spec)
      : shape_(haste_conv2d_shape(spec.in, spec.node.attrs)),
        scratch_(cpu::haste_scratch_bytes(shape_, spec.threads)) {}
  std::size_t scratch_bytes() const override { return scratch_; }
  void run(const KernelCall& call) override {
    cpu::haste_convolution(shape_,
                           {call.in[0].data, call.in[1].as<float>(), call.in[2].as<float>(), call.in[3].as<float>(),
                            call.out[0].data, call.out[1].as<float>()},
                           call.exec);
  }

 private:
  HasteShape shape_;
  std::size_t scratch_;
};

// On devices: the steps of kernels/functors/haste.h one after the other, each for all patches of the batch.
class HasteOfFunctors final : public Kernel {
 public:
  explicit HasteOfFunctors(const KernelSpec& spec)
      : s_(haste_conv2d_shape(spec.in, spec.node.attrs)), patches_(s_.conv.batch * s_.tiles()) {}
  std::size_t scratch_bytes() const override {
    const auto ints = static_cast<std::size_t>(fold_partials(s_.conv.batch, s_.tiles()));
    return places().partial + sizeof(std::int32_t) * ints;
  }
  void run(const KernelCall& call) override {
    with_float_type(call.in[0].dtype, [&]<class T>() { run_as<T>(call); });
  }

 private:
  // In scratch, behind the means.
  struct Places {
    std::size_t channels, order, left, partial;
  };
  Places places() const {
    const auto bytes = [](std::int64_t n, std::size_t each) { return aligned(static_cast<std::size_t>(n) * each); };
    const std::size_t channels = bytes(patches_ * s_.patch(), sizeof(float));
    const std::size_t order = channels + bytes(patches_ * s_.conv.in, sizeof(HasteChannel));
    const std::size_t left = order + bytes(patches_ * s_.conv.in, sizeof(std::int32_t));
    return {channels, order, left, left + bytes(patches_, sizeof(std::int32_t))};
  }
  template <class T>
  void run_as(const KernelCall& call) const {
    const Exec& exec = call.exec;
    const Places at = places();
    const std::int64_t in = s_.conv.in, all = patches_ * in;
    const HastePatches<T> patches{s_, call.in[0].as<T>()};
    auto* means = reinterpret_cast<float*>(exec.scratch);
    auto* channels = reinterpret_cast<HasteChannel*>(exec.scratch + at.channels);
    const auto ints = [&](std::size_t place) { return reinterpret_cast<std::int32_t*>(exec.scratch + place); };
    std::int32_t *order = ints(at.order), *left = ints(at.left);
    for_rows(exec, patches_ * s_.patch(), HasteMean<T>{patches, means});
    for_rows(exec, all, HasteCode<T>{patches, means, call.in[3].as<float>(), channels});
    for_rows(exec, all, HasteLink{in, channels});
    for_rows(exec, all, HasteOrder{in, channels, order});
    for_rows(exec, patches_, HasteLeft{in, channels, left});
    fold_rows(exec, s_.conv.batch, s_.tiles(), std::int32_t{0},
              LoadHasteLeft{left, s_.tiles(), static_cast<std::int32_t>(in)}, Sum{},
              StoreHasteMerged{call.out[1].as<float>()}, ints(at.partial));
    for_rows(exec, call.out[0].numel(),
             HasteConvolve<T>{patches, call.in[1].as<float>(), call.in[2].as<float>(), channels, order, left,
                              call.out[0].as<T>()});
  }
  HasteShape s_;
  std::int64_t patches_;
};

OpExample haste_conv2d_example(std::string label, const Shape& x, const Shape& w, std::int64_t stride,
                               std::int64_t pad) {
  const std::int64_t side = 2 * stride + w[2];
  return {.label = std::move(label),
          .in = {{x}, {w}, {{w[0]}}, {{6, side * side}}},
          .attrs = {{"stride", stride}, {"pad", pad}, {"tile", std::int64_t{3}}},
          .gradient = OpExample::Gradient::None,
          .bf16 = false};  // a bit of a code may turn with a rounding
}

void define_hash_vectors() {
  define_op({
      .name = "hash_vectors",
      .infer = [](Infos in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.empty(), "takes no input");
        attrs.integer("seed");
        attrs.integer("gaussian");
        const double zeros = attrs.real("zeros");
        require(zeros >= 0 && zeros < 1, fmt::format("the share of zeros must be in [0, 1), not {}", zeros));
        return {{Shape{attrs.integer("bits"), attrs.integer("length")}, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const Attrs& attrs = spec.node.attrs;
                   const RngKey key{static_cast<std::uint64_t>(attrs.integer("seed")), stream_id(spec.node.name), 0};
                   for_each(
                       call.exec, call.out[0].numel(),
                       HashVector{key, attrs.integer("gaussian") != 0, spec.real("zeros"), call.out[0].as<float>()});
                 })},
      .examples = {{.label = "ternary",
                    .in = {},
                    .attrs = {{"seed", std::int64_t{3}},
                              {"bits", std::int64_t{14}},
                              {"length", std::int64_t{25}},
                              {"zeros", 0.5},
                              {"gaussian", std::int64_t{0}}}}},
  });
}

}  // namespace

void define_haste_conv2d() {
  define_op({
      .name = "haste_conv2d",
      .role = OpRole::Layer,
      .infer = infer_haste_conv2d,
      .reverse =
          [](Reverse& r) {
            fail(ErrorKind::Internal, "node '{}': channels that are merged by hashing have no derivative",
                 r.node().name);
          },
      .macs = [](Infos in, Infos, const Attrs& attrs) { return haste_conv2d_shape(in, attrs).conv.macs(); },
      .kernel = {.cpu = [](const KernelSpec& spec) { return std::make_unique<HasteConvolution>(spec); },
                 .cuda = [](const KernelSpec& spec) { return std::make_unique<HasteOfFunctors>(spec); }},
      .examples = {haste_conv2d_example("3x3, odd sizes", {2, 7, 5, 20}, {18, 20, 3, 3}, 1, 1),
                   haste_conv2d_example("stride 2", {2, 8, 8, 6}, {5, 6, 3, 3}, 2, 1),
                   haste_conv2d_example("1x1", {3, 4, 4, 16}, {8, 16, 1, 1}, 1, 0)},
  });
  define_hash_vectors();
}

}  // namespace winnow::ops
