// A data set of images as one rank of one trial sees it: the shared bytes, cut into training,
// validation and test examples, in the order and with the augmentation that the trial's seeds give. Used by one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/batch.h"
#include "core/settings.h"
#include "experiments/data/image_data.h"
#include "experiments/data/image_transform.h"

namespace winnow {

// What is fixed for a data set, whatever the settings.
struct ImageTraits {
  std::string name;
  ImageStatistics statistics;
  AugmentRange standard;  // what `augment: standard` means
};

struct ImageOptions {
  AugmentRange augment = {};
  bool normalise = true;
  bool shuffle = true;
  std::int64_t validation = 0;  // examples held out of the training split
  double fraction = 1.0;        // of each split, from its start
};

// Settings every image data set has; the defaults differ.
Schema image_schema(const ImageTraits& traits, const char* augment, std::int64_t validation);
ImageOptions image_options(const ImageTraits& traits, const Settings& settings);

// Examples left for training of `total`, as `validation` and `fraction` say.
std::int64_t train_examples(std::int64_t total, const Settings& settings);

// The examples held out for validation, ascending: a permutation of the training split drawn from
// the data set's name alone, so that every trial of every sweep holds out the same ones.
std::vector<std::int64_t> held_out(const std::string& name, std::int64_t examples, std::int64_t count);

class ImageDataset : public Dataset {
 public:
  ImageDataset(ImageTraits traits, ImageOptions options, std::shared_ptr<const ImageData> data);
  DataShape shape() const override { return data_->shape; }
  std::string digest() const override { return data_->digest; }
  std::string remark() const override { return data_->remark; }
  std::int64_t examples(Split split) const override;
  std::size_t pixel_bytes() const override { return data_->train.pixels.size() + data_->test.pixels.size(); }
  std::unique_ptr<BatchSource> train(std::int64_t batch, std::uint64_t order_seed, std::uint64_t augment_seed,
                                     Slice slice) override;
  std::unique_ptr<EvalSource> eval(Split split, std::int64_t batch, Slice slice) override;
  void read_ahead(bool ahead) override { ahead_ = ahead; }

 private:
  const std::vector<std::int64_t>& examples_of(Split split) const { return examples_[static_cast<std::size_t>(split)]; }
  ImageOptions options_;
  std::shared_ptr<const ImageData> data_;
  ImageTransform transform_;
  bool ahead_ = false;
  std::vector<std::int64_t> examples_[3];  // by Split: places in data_->train or data_->test
};

}  // namespace winnow
