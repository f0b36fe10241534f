#include "distributed/balanced_set.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

BalancedSet balanced_set(const TrainJob& job, std::int64_t per_class, std::int64_t set) {
  const DataShape shape = job.data.shape();
  const auto image = static_cast<std::size_t>(shape.height * shape.width * shape.channels);
  BalancedSet result{Tensor(DType::F32, Shape{per_class * shape.classes, shape.height, shape.width, shape.channels}),
                     std::vector<std::int32_t>(static_cast<std::size_t>(per_class * shape.classes))};
  const auto source = job.data.train(job.batch(), job.seeds.data_order, job.seeds.augment, {});
  std::vector<std::int64_t> seen(static_cast<std::size_t>(shape.classes));  // by class
  const std::int64_t wanted = (set + 1) * per_class;
  const auto poorest = [&] { return std::ranges::min_element(seen); };
  for (std::int64_t b = 0; *poorest() < wanted; ++b) {
    if (b == source->batches_per_epoch()) {
      fail(ErrorKind::Input, "class {} has {} training examples in an epoch, and {} of every class are needed",
           poorest() - seen.begin(), *poorest(), wanted);
    }
    const Batch& batch = source->batch(b);
    const auto* images = batch.images.as<float>();
    const auto labels = batch.labels.span<std::int32_t>();
    for (std::size_t row = 0; row < labels.size(); ++row) {
      const std::int64_t number = seen.at(static_cast<std::size_t>(labels[row]))++ - set * per_class;
      if (number < 0 || number >= per_class) continue;
      const auto place = static_cast<std::size_t>(labels[row] * per_class + number);
      std::copy_n(images + row * image, image, result.images.as<float>() + place * image);
      result.labels[place] = labels[row];
    }
  }
  return result;
}

}  // namespace winnow
