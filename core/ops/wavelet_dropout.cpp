// wavelet_dropout: drops whole detail bands of a db3 wavelet decomposition of each map {H, W} of x
// {N, H, W, C}. Attribute variant "1d": the map flattened row by row, three levels, bands 1
// (finest) to 3. "2d": one level, bands 1 LH (high along the height), 2 HL (high along the width),
// 3 HH. One draw a band and call, shared by the whole batch; the layer is a symmetric linear map,
// so the reverse is the same node applied to the gradient.
#include <algorithm>

#include "core/ops/dispatch.h"
#include "kernels/cpu/wavelet.h"
#include "kernels/rng.h"

namespace winnow::ops {
namespace {

constexpr std::int64_t kTile = 32;  // channels handled at once; a tile's levels stay in the cache

BandScales draw_bands(const Node& node, const RunFeed& run) {
  const double p = node.attrs.real("p");
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

// One tile {H, W, lanes}; `x` is transformed in place, `room` has room(h, w) * lanes floats.
void drop_1d(float* x, float* room, std::int64_t h, std::int64_t w, std::int64_t lanes, const BandScales& s) {
  const std::int64_t n0 = h * w, n1 = wavelet_length(n0), n2 = wavelet_length(n1), n3 = wavelet_length(n2);
  float *low1 = room, *high1 = low1 + n1 * lanes, *low2 = high1 + n1 * lanes, *high2 = low2 + n2 * lanes,
        *low3 = high2 + n2 * lanes, *high3 = low3 + n3 * lanes;
  wavelet_analysis(x, low1, high1, 1, n0, lanes);
  wavelet_analysis(low1, low2, high2, 1, n1, lanes);
  wavelet_analysis(low2, low3, high3, 1, n2, lanes);
  wavelet_synthesis(low3, high3, low2, 1, n2, lanes, 1, s.band[2]);
  wavelet_synthesis(low2, high2, low1, 1, n1, lanes, 1, s.band[1]);
  wavelet_synthesis(low1, high1, x, 1, n0, lanes, 1, s.band[0]);
}

void drop_2d(float* x, float* room, std::int64_t h, std::int64_t w, std::int64_t lanes, const BandScales& s) {
  const std::int64_t hm = wavelet_length(h), wm = wavelet_length(w);
  float *low = room, *high = low + h * wm * lanes, *ll = high + h * wm * lanes, *lh = ll + hm * wm * lanes,
        *hl = lh + hm * wm * lanes, *hh = hl + hm * wm * lanes;
  wavelet_analysis(x, low, high, h, w, lanes);      // along the width
  wavelet_analysis(low, ll, lh, 1, h, wm * lanes);  // along the height
  wavelet_analysis(high, hl, hh, 1, h, wm * lanes);
  wavelet_synthesis(ll, lh, low, 1, h, wm * lanes, 1, s.band[0]);
  wavelet_synthesis(hl, hh, high, 1, h, wm * lanes, s.band[1], s.band[2]);
  wavelet_synthesis(low, high, x, h, w, lanes, 1, 1);
}

class WaveletDropout final : public Kernel {
 public:
  explicit WaveletDropout(const KernelSpec& spec)
      : node_(spec.node),
        shape_(spec.in[0].shape),
        threads_(spec.threads),
        flat_(spec.node.attrs.text("variant") == "1d") {}

  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(threads_) * tile_floats() * sizeof(float);
  }

  void run(const KernelCall& call) override {
    const BandScales scales = draw_bands(node_, call.exec.run->feed);
    const std::int64_t channels = shape_[3], tiles = (channels + kTile - 1) / kTile, jobs = shape_[0] * tiles;
    const int threads = std::min(threads_, call.exec.threads);
    auto* rooms = reinterpret_cast<float*>(call.exec.scratch);
    with_float_type(call.out[0].dtype, [&]<class T>() {
      const T* x = call.in[0].as<T>();
      T* y = call.out[0].as<T>();
#pragma omp parallel for num_threads(threads) schedule(static, (jobs + threads - 1) / threads)
      for (std::int64_t job = 0; job < jobs; ++job) {
        const std::int64_t thread = job / ((jobs + threads - 1) / threads);  // of the static schedule
        const std::int64_t first = job % tiles * kTile, offset = job / tiles * shape_[1] * shape_[2] * channels + first;
        tile(x + offset, y + offset, std::min(kTile, channels - first), scales,
             rooms + static_cast<std::size_t>(thread) * tile_floats());
      }
    });
  }

 private:
  std::size_t tile_floats() const {
    const std::int64_t h = shape_[1], w = shape_[2], n1 = wavelet_length(h * w), n2 = wavelet_length(n1);
    const std::int64_t hm = wavelet_length(h), wm = wavelet_length(w);
    const std::int64_t levels = flat_ ? 2 * (n1 + n2 + wavelet_length(n2)) : 2 * h * wm + 4 * hm * wm;
    return static_cast<std::size_t>((h * w + levels) * kTile);
  }

  template <class T>
  void tile(const T* x, T* y, std::int64_t lanes, const BandScales& scales, float* room) const {
    const std::int64_t h = shape_[1], w = shape_[2], channels = shape_[3];
    for (std::int64_t i = 0; i < h * w; ++i) {
      for (std::int64_t c = 0; c < lanes; ++c) room[i * lanes + c] = to_float(x[i * channels + c]);
    }
    (flat_ ? drop_1d : drop_2d)(room, room + h * w * lanes, h, w, lanes, scales);
    for (std::int64_t i = 0; i < h * w; ++i) {
      for (std::int64_t c = 0; c < lanes; ++c) y[i * channels + c] = from_float<T>(room[i * lanes + c]);
    }
  }

  Node node_;
  Shape shape_;
  int threads_;
  bool flat_;
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
      .examples = {{.label = "1d", .in = {{{2, 4, 4, 5}}}, .attrs = attrs("1d", {1, 2, 3})},
                   {.label = "1d_coarsest", .in = {{{1, 3, 5, 40}}}, .attrs = attrs("1d", {3})},
                   {.label = "2d", .in = {{{2, 4, 3, 5}}}, .attrs = attrs("2d", {1, 2, 3})}},
  });
}

}  // namespace winnow::ops
