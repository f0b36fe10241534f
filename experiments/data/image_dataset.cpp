#include "experiments/data/image_dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "experiments/data/image_sources.h"

namespace winnow {
namespace {

std::string normalise_text(const ImageStatistics& statistics) {
  std::string text = "none: pixels in [0, 1]; standard: (pixel - mean) / deviation with";
  for (const ChannelStatistics& channel : statistics) {
    text += fmt::format(" {:.4f}/{:.4f}", channel.mean, channel.deviation);
  }
  return text;
}

ImageStatistics statistics_of(const ImageTraits& traits, const ImageOptions& options, std::int64_t channels) {
  return options.normalise ? traits.statistics : ImageStatistics(static_cast<std::size_t>(channels));
}

std::string augment_text(const AugmentRange& range) {
  return fmt::format("standard: random crop from a black border of {} pixels{}", range.pad,
                     range.mirror ? ", random mirror" : "");
}

}  // namespace

Schema image_schema(const ImageTraits& traits, const char* augment, std::int64_t validation) {
  using Kind = Setting::Kind;
  return {
      {.key = "augment",
       .kind = Kind::Choice,
       .fallback = augment,
       .choices = {"none", "standard"},
       .meaning = "training images only; " + augment_text(traits.standard),
       .source = "He et al. 2016 (CIFAR); ours for the others: the same in proportion"},
      {.key = "normalise",
       .kind = Kind::Choice,
       .fallback = "standard",
       .choices = {"none", "standard"},
       .meaning = normalise_text(traits.statistics),
       .source = "per channel, over the training split"},
      {.key = "shuffle",
       .kind = Kind::Bool,
       .fallback = "true",
       .meaning = "a new order of the training examples every epoch",
       .source = "usual practice"},
      {.key = "validation",
       .kind = Kind::Int,
       .fallback = std::to_string(validation),
       .range = Range{0, 1e9},
       .unit = "examples",
       .meaning = "held out of the training split, the same for every trial",
       .source = "ours: selection without the test set"},
      {.key = "fraction",
       .kind = Kind::Real,
       .fallback = "1",
       .range = Range{0, 1, true},
       .meaning = "use only this first share of each split",
       .source = "ours: quick trials"},
  };
}

ImageOptions image_options(const ImageTraits& traits, const Settings& settings) {
  ImageOptions options;
  if (settings.text("augment") == "standard") options.augment = traits.standard;
  options.normalise = settings.text("normalise") == "standard";
  options.shuffle = settings.flag("shuffle");
  options.validation = settings.integer("validation");
  options.fraction = settings.real("fraction");
  return options;
}

std::int64_t train_examples(std::int64_t total, const Settings& settings) {
  const auto left = static_cast<double>(total - settings.integer("validation"));
  return static_cast<std::int64_t>(std::ceil(settings.real("fraction") * left));
}

std::vector<std::int64_t> held_out(const std::string& name, std::int64_t examples, std::int64_t count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(examples));
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::int64_t> order(all.size());
  epoch_order(all, stream_id("validation/" + name), 0, order);
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

ImageDataset::ImageDataset(ImageTraits traits, ImageOptions options, std::shared_ptr<const ImageData> data)
    : options_(options),
      data_(std::move(data)),
      transform_(data_->shape, statistics_of(traits, options, data_->shape.channels)) {
  const std::int64_t total = data_->train.examples();
  if (options.validation >= total) {
    fail(ErrorKind::Settings, "data.validation: must be less than the {} training examples of {}, is {}", total,
         traits.name, options.validation);
  }
  std::vector<std::int64_t>& train = examples_[static_cast<int>(Split::Train)];
  std::vector<std::int64_t>& validation = examples_[static_cast<int>(Split::Validation)];
  std::vector<std::int64_t>& test = examples_[static_cast<int>(Split::Test)];
  validation = held_out(traits.name, total, options.validation);
  std::size_t next = 0;
  for (std::int64_t i = 0; i < total; ++i) {
    if (next < validation.size() && validation[next] == i) {
      ++next;
    } else {
      train.push_back(i);
    }
  }
  test.resize(static_cast<std::size_t>(data_->test.examples()));
  std::iota(test.begin(), test.end(), 0);
  for (std::vector<std::int64_t>& part : examples_) {
    part.resize(static_cast<std::size_t>(std::ceil(options.fraction * static_cast<double>(part.size()))));
  }
}

std::int64_t ImageDataset::examples(Split split) const { return static_cast<std::int64_t>(examples_of(split).size()); }

std::unique_ptr<BatchSource> ImageDataset::train(std::int64_t batch, std::uint64_t order_seed,
                                                 std::uint64_t augment_seed, Slice slice) {
  return make_train_source({data_, &data_->train, examples_of(Split::Train)}, transform_,
                           {order_seed, augment_seed, options_.shuffle, options_.augment}, batch, slice, ahead_);
}

std::unique_ptr<EvalSource> ImageDataset::eval(Split split, std::int64_t batch, Slice slice) {
  const ImageSplit& part = split == Split::Test ? data_->test : data_->train;
  return make_eval_source({data_, &part, examples_of(split)}, transform_, batch, slice, ahead_);
}

}  // namespace winnow
