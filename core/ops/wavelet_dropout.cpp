// wavelet_dropout: drops whole detail bands of a db3 wavelet decomposition of each map {H, W} of x
// {N, H, W, C}. Attribute variant "1d": the map flattened row by row, three levels, bands 1
// (finest) to 3. "2d": one level, bands 1 LH (high along the height), 2 HL (high along the width),
// 3 HH. One draw a band and call, shared by the whole batch; the layer is a symmetric linear map,
// so the reverse is the same node applied to the gradient.
#include "core/ops/dispatch.h"
#include "kernels/cpu/wavelet.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"
#include "kernels/layer.h"
#include "kernels/rng.h"

namespace winnow::ops {
namespace {

// What both kernels share. Seed and step of the draws are known as they run; the node's name keys them.
class WaveletDropoutKernel : public Kernel {
 protected:
  explicit WaveletDropoutKernel(const KernelSpec& spec)
      : draw_{nullptr, stream_id(spec.node.name), 0, spec.real("p"), nullptr} {
    const Shape& x = spec.in[0].shape;
    shape_ = {x[0], x[1], x[2], x[3], spec.node.attrs.text("variant") == "1d"};
    for (const std::int64_t band : spec.node.attrs.list("bands")) draw_.droppable |= 1u << (band - 1);
  }
  DrawBands draw(const Exec& exec, BandScales* scales) const {
    DrawBands now = draw_;
    now.feed = &exec.run->feed;
    now.scales = scales;
    return now;
  }
  cpu::WaveletShape shape_;

 private:
  DrawBands draw_;
};

class WaveletDropout final : public WaveletDropoutKernel {
 public:
  explicit WaveletDropout(const KernelSpec& spec)
      : WaveletDropoutKernel(spec), scratch_bytes_(shape_.scratch_bytes(spec.threads)) {}
  std::size_t scratch_bytes() const override { return scratch_bytes_; }
  void run(const KernelCall& call) override {
    BandScales scales;
    draw(call.exec, &scales)(0);
    with_float_type(call.out[0].dtype, [&]<class T>() {
      cpu::wavelet_dropout(shape_, scales, call.in[0].as<const T>(), call.out[0].as<T>(), call.exec);
    });
  }

 private:
  std::size_t scratch_bytes_;
};

// On devices: every level of the whole batch at once, one thread a coefficient.
class WaveletDropoutOfFunctors final : public WaveletDropoutKernel {
 public:
  explicit WaveletDropoutOfFunctors(const KernelSpec& spec) : WaveletDropoutKernel(spec) {
    const std::int64_t h = shape_.height, w = shape_.width, n1 = wavelet_length(h * w), n2 = wavelet_length(n1);
    const std::int64_t hm = wavelet_length(h), wm = wavelet_length(w);
    const std::int64_t levels = shape_.flat ? 2 * (n1 + n2 + wavelet_length(n2)) : 2 * h * wm + 4 * hm * wm;
    floats_ = shape_.batch * (h * w + levels) * shape_.channels;
  }
  std::size_t scratch_bytes() const override {
    return aligned(sizeof(BandScales)) + sizeof(float) * static_cast<std::size_t>(floats_);
  }
  void run(const KernelCall& call) override {
    const Exec& exec = call.exec;
    auto* scales = reinterpret_cast<BandScales*>(exec.scratch);
    auto* x = reinterpret_cast<float*>(exec.scratch + aligned(sizeof(BandScales)));
    const std::int64_t n = call.out[0].numel();
    for_rows(exec, 1, draw(exec, scales));
    with_float_type(call.out[0].dtype, [&]<class T>() { for_each(exec, n, Cast<T, float>{call.in[0].as<T>(), x}); });
    shape_.flat ? drop_1d(exec, x, scales->band) : drop_2d(exec, x, scales->band);
    with_float_type(call.out[0].dtype, [&]<class T>() { for_each(exec, n, Cast<float, T>{x, call.out[0].as<T>()}); });
  }

 private:
  // Both bands of a level, each of blocks {length, lanes}.
  struct Level {
    Level(float* memory, std::int64_t blocks, std::int64_t n, std::int64_t lanes_of)
        : outer(blocks), length(n), lanes(lanes_of), low(memory), high(low + size()) {}
    std::int64_t size() const { return outer * wavelet_length(length) * lanes; }
    float* end() const { return high + size(); }
    std::int64_t outer, length, lanes;  // of what is taken apart
    float *low, *high;
  };
  static void analyse(const Exec& exec, const float* x, const Level& to) {
    for_rows(exec, to.size(),
             WaveletElement<WaveletAnalysis>{{x, to.low, to.high, to.length, to.lanes}, wavelet_length(to.length)});
  }
  static void synthesise(const Exec& exec, const Level& from, float* x, const float* low, const float* high) {
    for_rows(exec, from.outer * from.length * from.lanes,
             ScaledSynthesis{{{from.low, from.high, x, from.length, from.lanes, 1, 1}, from.length}, low, high});
  }

  void drop_1d(const Exec& exec, float* x, const float* band) const {
    const std::int64_t area = shape_.height * shape_.width, lanes = shape_.channels, n1 = wavelet_length(area);
    const Level first(x + shape_.batch * area * lanes, shape_.batch, area, lanes);
    const Level second(first.end(), shape_.batch, n1, lanes);
    const Level third(second.end(), shape_.batch, wavelet_length(n1), lanes);
    analyse(exec, x, first);
    analyse(exec, first.low, second);
    analyse(exec, second.low, third);
    synthesise(exec, third, second.low, nullptr, band + 2);
    synthesise(exec, second, first.low, nullptr, band + 1);
    synthesise(exec, first, x, nullptr, band);
  }
  void drop_2d(const Exec& exec, float* x, const float* band) const {
    const std::int64_t h = shape_.height, w = shape_.width, lanes = wavelet_length(w) * shape_.channels;
    const Level width(x + shape_.batch * h * w * shape_.channels, shape_.batch * h, w, shape_.channels);
    const Level low(width.end(), shape_.batch, h, lanes), high(low.end(), shape_.batch, h, lanes);
    analyse(exec, x, width);
    analyse(exec, width.low, low);
    analyse(exec, width.high, high);
    synthesise(exec, low, width.low, nullptr, band);
    synthesise(exec, high, width.high, band + 1, band + 2);
    synthesise(exec, width, x, nullptr, nullptr);
  }
  std::int64_t floats_ = 0;
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
      .kernel = {.cpu = [](const KernelSpec& spec) { return std::make_unique<WaveletDropout>(spec); },
                 .cuda = [](const KernelSpec& spec) { return std::make_unique<WaveletDropoutOfFunctors>(spec); }},
      .inplace = 0,
      .train_only = true,
      .channels = every_dim_alike(),
      .examples = {{.label = "1d", .in = {{{2, 4, 4, 5}}}, .attrs = attrs("1d", {1, 2, 3})},
                   {.label = "1d_coarsest", .in = {{{1, 3, 5, 40}}}, .attrs = attrs("1d", {3})},
                   {.label = "2d", .in = {{{2, 4, 3, 5}}}, .attrs = attrs("2d", {1, 2, 3})}},
  });
}

}  // namespace winnow::ops
