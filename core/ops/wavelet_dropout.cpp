// wavelet_dropout: drops whole detail bands of a db3 wavelet decomposition of each map {H, W} of x
// {N, H, W, C}. Attribute variant "1d": the map flattened row by row, three levels, bands 1
// (finest) to 3. "2d": one level, bands 1 LH (high along the height), 2 HL (high along the width),
// 3 HH. One draw a band and call, shared by the whole batch; the layer is a symmetric linear map,
// so the reverse is the same node applied to the gradient.
#include "core/ops/dispatch.h"
#include "kernels/cpu/wavelet.h"
#include "kernels/rng.h"

namespace winnow::ops {
namespace {

BandScales draw_bands(const Node& node, double p, const RunFeed& run) {
  const auto& bands = node.attrs.list("bands");
  const RngKey key{run.seed, stream_id(node.name), run.step};
  BandScales scales{{1, 1, 1}};
  for (const std::int64_t band : bands) {
    const auto i = static_cast<std::size_t>(band - 1);
    const bool keep = uniform_at(key, i) >= static_cast<float>(p);
    scales.band[i] = keep ? static_cast<float>(1.0 / (1.0 - p)) : 0.0f;
  }
  return scales;
}

class WaveletDropout final : public Kernel {
 public:
  explicit WaveletDropout(const KernelSpec& spec)
      : node_(spec.node),
        p_(spec.real("p")),
        shape_(shape_of(spec)),
        scratch_bytes_(shape_.scratch_bytes(spec.threads)) {}
  std::size_t scratch_bytes() const override { return scratch_bytes_; }
  void run(const KernelCall& call) override {
    const BandScales scales = draw_bands(node_, *p_, call.exec.run->feed);
    with_float_type(call.out[0].dtype, [&]<class T>() {
      cpu::wavelet_dropout(shape_, scales, call.in[0].as<const T>(), call.out[0].as<T>(), call.exec);
    });
  }

 private:
  static cpu::WaveletShape shape_of(const KernelSpec& spec) {
    const Shape& x = spec.in[0].shape;
    return {x[0], x[1], x[2], x[3], spec.node.attrs.text("variant") == "1d"};
  }
  Node node_;
  const double* p_;
  cpu::WaveletShape shape_;
  std::size_t scratch_bytes_;
};

}  // namespace

void define_wavelet_dropout() {
  using Bands = std::vector<std::int64_t>;
  const auto attrs = [](const char* variant, const Bands& bands) {
    return Attrs{{"p", 0.4}, {"variant", std::string(variant)}, {"bands", bands}};
  };
  define_op({
      .name = "wavelet_dropout",
      .infer =
          [](std::span<const ValueInfo> in, const Attrs& given) {
            const double p = given.real("p");
            require(p >= 0 && p < 1, fmt::format("p must be in [0, 1), not {}", p));
            require(given.text("variant") == "1d" || given.text("variant") == "2d", "variant must be 1d or 2d");
            for (const std::int64_t band : given.list("bands")) {
              require(band >= 1 && band <= 3, fmt::format("bands are 1, 2 and 3, not {}", band));
            }
            require(in.size() == 1 && in[0].shape.rank() == 4, "takes one input {N, H, W, C}");
            return same_as_inputs(in, 1);
          },
      .reverse =
          [](Reverse& r) {
            // The node's name keys the draws, so the reverse node has the same name.
            r.add(0, r.graph().emit1("wavelet_dropout", {r.out_grad(0)}, r.node().attrs, r.node().name));
          },
      .kernel = {.cpu = [](const KernelSpec& spec) { return std::make_unique<WaveletDropout>(spec); }},
      .inplace = 0,
      .train_only = true,
      .channels = every_dim_alike(),
      .examples = {{.label = "1d", .in = {{{2, 4, 4, 5}}}, .attrs = attrs("1d", {1, 2, 3})},
                   {.label = "1d_coarsest", .in = {{{1, 3, 5, 40}}}, .attrs = attrs("1d", {3})},
                   {.label = "2d", .in = {{{2, 4, 3, 5}}}, .attrs = attrs("2d", {1, 2, 3})}},
  });
}

}  // namespace winnow::ops
