// HASTE: evaluation alone replaces convolutions by ones that merge, patch by patch, the input channels whose hash codes are
// equal. Training, weights and what is stored stay as they are; what evaluation saves is counted in additions and
// multiplications, overhead included.
#include <cmath>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/haste_cost.h"

namespace winnow {
namespace {

class Haste final : public Method {
 public:
  explicit Haste(const Settings& settings)
      : bits_(settings.integer("bits")),
        tile_(settings.integer("tile")),
        seed_(settings.integer("seed")),
        start_layer_(settings.integer("start_layer")),
        min_channels_(settings.integer("min_channels")),
        zeros_(settings.real("zeros")),
        gaussian_(settings.text("vectors") == "gaussian") {}

  Touches touches() const override { return {.evaluation = true}; }

  void edit(GraphEditor& editor) override {
    swapped_.clear();
    dense_operations_ = 0;
    std::int64_t index = 0;
    for (const Layer& layer : editor.layers()) {
      const Shape x = editor.graph().value(layer.in).shape, w = editor.graph().value(layer.weight).shape;
      const Shape y = editor.graph().value(layer.out).shape;
      // Every entry of the weight meets every place of the output.
      const std::int64_t places = y.numel() / (y[0] * w[0]);
      dense_operations_ += 2 * static_cast<double>(w.numel() * places);
      if (!layer.convolution) continue;
      const Attrs attrs = editor.graph().nodes()[layer.node].attrs;
      const bool chosen = index++ >= start_layer_ && attrs.integer("groups", 1) == 1 && x[3] >= min_channels_;
      if (!chosen) continue;
      const std::int64_t stride = attrs.integer("stride", 1);
      const std::int64_t patch = ((tile_ - 1) * stride + w[2]) * ((tile_ - 1) * stride + w[3]);
      swapped_.push_back({"haste." + layer.name,
                          {.channels = x[3],
                           .filters = w[0],
                           .taps = w[2] * w[3],
                           .tile = tile_,
                           .patch = patch,
                           .bits = bits_,
                           .zeros = gaussian_ ? 0.0 : zeros_},
                          ((y[1] + tile_ - 1) / tile_) * ((y[2] + tile_ - 1) / tile_),
                          2 * static_cast<double>(w.numel() * y[1] * y[2])});
      if (editor.use() == Use::Evaluate) swap(editor, layer, stride, attrs.integer("pad", 0), patch);
    }
    if (swapped_.empty()) {
      fail(ErrorKind::Settings,
           "method.min_channels: model '{}' has no ungrouped convolution of {} channels or more behind the first {} "
           "(method.start_layer)",
           editor.model().name, min_channels_, start_layer_);
    }
  }

  void report(TrainState& state, Facts& facts) const override {
    double operations = dense_operations_, channels = 0, left = 0;
    for (const Swapped& layer : swapped_) {
      const auto patches = static_cast<double>(layer.patches);
      const double merged = state.observed(layer.name) / patches;  // mean over the patches of an image
      if (std::isnan(merged)) return;                              // it diverged before the first evaluation
      operations += patches * haste_operations(layer.patch, merged) - layer.dense_operations;
      channels += patches * static_cast<double>(layer.patch.channels);
      left += patches * merged;
    }
    facts["method.flops_reduction"] = 1 - operations / dense_operations_;
    facts["method.channel_compression"] = 1 - left / channels;
    facts["method.layers"] = static_cast<double>(swapped_.size());
  }

 private:
  struct Swapped {
    std::string name;  // of what is observed: channels that are left, summed over the patches of an image
    HastePatch patch;
    std::int64_t patches;     // of an image
    double dense_operations;  // of an image
  };

  void swap(GraphEditor& editor, const Layer& layer, std::int64_t stride, std::int64_t pad, std::int64_t patch) const {
    Graph& graph = editor.graph();
    std::vector<ValueId> in = graph.nodes()[layer.node].in;
    in.resize(3, kNoValue);  // a bias or none
    in.push_back(graph.emit1(
        "hash_vectors", {},
        {{"seed", seed_}, {"bits", bits_}, {"length", patch}, {"zeros", zeros_}, {"gaussian", std::int64_t{gaussian_}}},
        layer.name + ".hash"));
    std::vector<ValueId> out;
    editor.splice(layer.out, [&](ValueId) {
      out = graph.emit("haste_conv2d", in, {{"stride", stride}, {"pad", pad}, {"tile", tile_}}, layer.name);
      return out[0];
    });
    editor.observe({.name = swapped_.back().name, .value = out[1]});
  }

  std::int64_t bits_, tile_, seed_, start_layer_, min_channels_;
  double zeros_;
  bool gaussian_;
  std::vector<Swapped> swapped_;
  double dense_operations_ = 0;  // of an image, the whole network
};

}  // namespace

MethodDef haste() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "haste";
  def.meaning =
      "trains as usual and evaluates with fewer channels: in every patch, input channels with equal hash codes are "
      "averaged and their filter slices added up";
  def.source = "HASTE, VISAPP 2025, arXiv 2309.17211";
  def.schema = {
      {.key = "bits",
       .kind = Kind::Int,
       .fallback = "14",
       .range = Range{0, 32},
       .meaning = "hash vectors, one bit of a code each; more are more exact and merge less",
       .source = "arXiv 2309.17211"},
      {.key = "vectors",
       .kind = Kind::Choice,
       .fallback = "ternary",
       .choices = {"ternary", "gaussian"},
       .meaning = "entries of hash vectors: -1, 0 and 1, or normal",
       .source = "arXiv 2309.17211"},
      {.key = "zeros",
       .kind = Kind::Real,
       .fallback = "0.6666666666666666",
       .range = Range{0, 1, false, true},
       .unit = "share",
       .meaning = "probability that an entry of a ternary vector is 0",
       .source = "arXiv 2309.17211: 2/3 for CIFAR-10, 1/2 for ImageNet",
       .read_when = {{where("vectors", {"ternary"})}}},
      {.key = "tile",
       .kind = Kind::Int,
       .fallback = "3",
       .range = Range{1, 64},
       .meaning = "side of the piece of the output that one patch gives",
       .source = "arXiv 2309.17211"},
      {.key = "start_layer",
       .kind = Kind::Int,
       .fallback = "1",
       .range = Range{0, 10000},
       .meaning = "convolutions at the beginning that stay exact",
       .source = "ours: three colours hold no redundancy"},
      {.key = "min_channels",
       .kind = Kind::Int,
       .fallback = "16",
       .range = Range{1, 1e6},
       .meaning = "convolutions of fewer input channels stay exact",
       .source = "ours"},
      {.key = "seed",
       .kind = Kind::Int,
       .fallback = "0",
       .range = Range{0, 1e9},
       .meaning = "of the hash vectors, which are drawn once a layer",
       .source = "arXiv 2309.17211: mean and deviation over hash seeds"},
  };
  def.make = [](const Settings& s) { return std::make_unique<Haste>(s); };
  return def;
}

}  // namespace winnow
