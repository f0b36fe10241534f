// The two ways through the examples of an ImageDataset: endless shuffled training batches and one
// evaluation pass. Both are pure functions of their arguments; neither depends on ranks except for
// which rows it returns. They keep the bytes alive and may outlive the data set. One caller each.
#pragma once

#include <memory>
#include <vector>

#include "core/batch.h"
#include "experiments/data/image_data.h"
#include "experiments/data/image_transform.h"

namespace winnow {

// Part of a split: `places` are indices into `split`, which `owner` keeps alive.
struct ImageSelection {
  std::shared_ptr<const ImageData> owner;
  const ImageSplit* split;
  std::vector<std::int64_t> places;
  std::int64_t examples() const { return static_cast<std::int64_t>(places.size()); }
};

struct TrainOrder {
  std::uint64_t order_seed, augment_seed;
  bool shuffle;
  AugmentRange augment;
};

// The order of `epoch`: a Fisher-Yates shuffle of `places` keyed by (seed, epoch), into `order`.
void epoch_order(const std::vector<std::int64_t>& places, std::uint64_t seed, std::uint32_t epoch,
                 std::vector<std::int64_t>& order);

// `ahead`: a thread prepares the next batch while one is used.
std::unique_ptr<BatchSource> make_train_source(ImageSelection examples, const ImageTransform& transform,
                                               const TrainOrder& order, std::int64_t batch, Slice slice, bool ahead);
std::unique_ptr<EvalSource> make_eval_source(ImageSelection examples, const ImageTransform& transform,
                                             std::int64_t batch, Slice slice, bool ahead);

}  // namespace winnow
