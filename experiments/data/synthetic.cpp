// Images made from a seed, for tests and benchmarks: every class is a colour and a grating, with noise.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/data/image_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {
namespace {

const ImageTraits kTraits = {.name = "synthetic", .statistics = {}, .standard = {.pad = 4, .mirror = true}};

struct SyntheticOptions {
  DataShape shape;
  std::int64_t examples, test_examples;
  std::uint64_t seed;
  double noise;
};

DataShape shape_of(const Settings& settings) {
  return {settings.integer("height"), settings.integer("width"), settings.integer("channels"),
          settings.integer("classes")};
}

// One value for each of H, W, C of class `label`, about 0.5: what the noise is added to.
std::vector<float> class_pattern(const SyntheticOptions& options, std::int64_t label) {
  const DataShape& shape = options.shape;
  const RngKey key{options.seed, stream_id("synthetic/class"), static_cast<std::uint32_t>(label)};
  std::uint64_t draw = 0;
  const auto between = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(uniform_at(key, draw++));
  };
  const double turn = 2.0 * std::numbers::pi;
  const double across = between(0.5, 3.0), down = between(-3.0, 3.0), phase = between(0.0, turn);
  std::vector<double> level, depth;
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    level.push_back(between(0.35, 0.65));
    depth.push_back(between(-0.25, 0.25));
  }
  std::vector<float> pattern;
  for (std::int64_t y = 0; y < shape.height; ++y) {
    for (std::int64_t x = 0; x < shape.width; ++x) {
      const double wave = std::sin(phase + turn * (down * static_cast<double>(y) / static_cast<double>(shape.height) +
                                                   across * static_cast<double>(x) / static_cast<double>(shape.width)));
      for (std::size_t c = 0; c < level.size(); ++c) {
        pattern.push_back(static_cast<float>(level[c] + depth[c] * wave));
      }
    }
  }
  return pattern;
}

ImageSplit make_split(const SyntheticOptions& options, const char* stream, std::int64_t examples,
                      const std::vector<std::vector<float>>& patterns) {
  const std::size_t size = patterns[0].size();
  // The sum of four uniform bytes is close enough to a normal and cheap; this is its deviation.
  const double deviation = std::sqrt(4.0 * (256.0 * 256.0 - 1.0) / 12.0);
  const auto scale = static_cast<float>(255.0 * options.noise / deviation);
  ImageSplit split;
  split.pixels.resize(static_cast<std::size_t>(examples) * size);
  for (std::int64_t i = 0; i < examples; ++i) {
    const std::int64_t label = i % options.shape.classes;
    const std::vector<float>& pattern = patterns[static_cast<std::size_t>(label)];
    const RngKey key{options.seed, stream_id(stream), static_cast<std::uint32_t>(i)};
    std::uint8_t* out = split.pixels.data() + static_cast<std::size_t>(i) * size;
    RngBlock block{};
    for (std::size_t p = 0; p < size; ++p) {
      if (p % 4 == 0) block = philox(key, p / 4);
      const std::uint32_t word = block.word[p % 4];
      const std::uint32_t sum = (word & 255u) + ((word >> 8) & 255u) + ((word >> 16) & 255u) + (word >> 24);
      const float value = 255.0f * pattern[p] + scale * (static_cast<float>(sum) - 510.0f);
      out[p] = static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
    }
    split.labels.push_back(static_cast<std::int32_t>(label));
  }
  return split;
}

ImageData make_images(const SyntheticOptions& options) {
  std::vector<std::vector<float>> patterns;
  for (std::int64_t k = 0; k < options.shape.classes; ++k) {
    patterns.push_back(class_pattern(options, k));
  }
  ImageData data;
  data.shape = options.shape;
  data.train = make_split(options, "synthetic/train", options.examples, patterns);
  data.test = make_split(options, "synthetic/test", options.test_examples, patterns);
  Sha256 digest;
  for (const ImageSplit* split : {&data.train, &data.test}) {
    digest.update(std::as_bytes(std::span(split->pixels)));
    digest.update(std::as_bytes(std::span(split->labels)));
  }
  data.digest = digest.hex();
  return data;
}

ImageTraits traits_for(std::int64_t channels) {
  ImageTraits traits = kTraits;
  traits.statistics.assign(static_cast<std::size_t>(channels), {0.5, 0.25});
  return traits;
}

std::unique_ptr<Dataset> open_synthetic(const Settings& settings) {
  const SyntheticOptions options{shape_of(settings), settings.integer("examples"), settings.integer("test_examples"),
                                 static_cast<std::uint64_t>(settings.integer("seed")), settings.real("noise")};
  const DataShape& shape = options.shape;
  const std::string key =
      fmt::format("synthetic {}x{}x{} {} {} {} {} {}", shape.height, shape.width, shape.channels, shape.classes,
                  options.examples, options.test_examples, options.seed, options.noise);
  const ImageTraits traits = traits_for(shape.channels);
  return std::make_unique<ImageDataset>(traits, image_options(traits, settings),
                                        shared_image_data(key, [&] { return make_images(options); }));
}

Setting count(const char* key, const char* fallback, double low, double high, const char* meaning) {
  return {.key = key,
          .kind = Setting::Kind::Int,
          .fallback = fallback,
          .range = Range{low, high},
          .meaning = meaning,
          .source = "ours: tests and benchmarks"};
}

}  // namespace

DatasetDef synthetic() {
  DatasetDef def;
  def.name = "synthetic";
  def.meaning = "made from a seed: every class a colour and a grating, with noise";
  def.source = "ours: tests and benchmarks without files";
  def.schema = image_schema(traits_for(1), "none", 512);
  def.schema.insert(def.schema.end(), {count("height", "16", 1, 256, "of an image, pixels"),
                                       count("width", "16", 1, 256, "of an image, pixels"),
                                       count("channels", "3", 1, 16, "of an image"),
                                       count("classes", "10", 2, 1000, "equally frequent"),
                                       count("examples", "4096", 1, 1e6, "of the training split"),
                                       count("test_examples", "1024", 1, 1e6, "of the test split"),
                                       count("seed", "1", 0, 4e9, "of patterns and noise, not the trial's"),
                                       {.key = "noise",
                                        .kind = Setting::Kind::Real,
                                        .fallback = "0.2",
                                        .range = Range{0, 10},
                                        .meaning = "standard deviation, where a pixel lies in [0, 1]",
                                        .source = "ours: tests and benchmarks"}});
  def.shape = shape_of;
  def.train_examples = [](const Settings& settings) { return train_examples(settings.integer("examples"), settings); };
  def.open = open_synthetic;
  return def;
}

}  // namespace winnow
