#include "experiments/data/image_sources.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "experiments/data/batch_queue.h"

namespace winnow {
namespace {

std::int64_t rows_of(std::int64_t batch, Slice slice) {
  if (batch < slice.ranks || batch % slice.ranks != 0) {
    fail(ErrorKind::Settings, "a batch of {} rows cannot be split evenly over {} ranks", batch, slice.ranks);
  }
  return batch / slice.ranks;
}

// Copies example `place` of the split into row `row` of a batch.
void put_row(const ImageSelection& examples, const ImageTransform& transform, std::int64_t place,
             const Augmentation& how, const Batch& into, std::int64_t row) {
  const std::int64_t size = into.images.numel() / into.labels.numel();
  transform.apply(examples.split->pixels.data() + place * size, how, into.images.as<float>() + row * size);
  into.labels.as<std::int32_t>()[row] = examples.split->labels[static_cast<std::size_t>(place)];
}

class TrainSource : public BatchSource {
 public:
  TrainSource(ImageSelection examples, const ImageTransform& transform, const TrainOrder& order, std::int64_t batch,
              Slice slice, bool ahead)
      : examples_(std::move(examples)),
        transform_(transform),
        how_(order),
        batch_(batch),
        order_(examples_.places),
        queue_(
            examples_.owner->shape, rows_of(batch, slice), slice.rank * rows_of(batch, slice),
            std::numeric_limits<std::int64_t>::max(),
            [this](std::int64_t index, const Batch& into) { fill(index, into); }, ahead) {}

  std::int64_t batches_per_epoch() const override { return examples_.examples() / batch_; }
  const Batch& batch(std::int64_t index) override { return queue_.get(index); }

 private:
  void fill(std::int64_t index, const Batch& into) {
    const auto epoch = static_cast<std::uint32_t>(index / batches_per_epoch());
    if (how_.shuffle && (!ordered_ || epoch != epoch_)) {
      epoch_order(examples_.places, how_.order_seed, epoch, order_);
      epoch_ = epoch;
      ordered_ = true;
    }
    const RngKey key{how_.augment_seed, stream_id("augment"), epoch};
    const bool augmented = how_.augment != AugmentRange{};
    const std::int64_t start = (index % batches_per_epoch()) * batch_ + into.first_row;
    for (std::int64_t row = 0; row < into.labels.numel(); ++row) {
      const auto position = static_cast<std::uint64_t>(start + row);
      const Augmentation how = augmented ? draw_augmentation(how_.augment, key, position) : Augmentation{};
      put_row(examples_, transform_, order_[position], how, into, row);
    }
  }

  ImageSelection examples_;
  ImageTransform transform_;
  TrainOrder how_;
  std::int64_t batch_;
  std::vector<std::int64_t> order_;
  std::uint32_t epoch_ = 0;
  bool ordered_ = false;
  BatchQueue queue_;  // last: its thread uses everything above
};

class PassSource : public EvalSource {
 public:
  PassSource(ImageSelection examples, const ImageTransform& transform, std::int64_t batch, Slice slice, bool ahead)
      : examples_(std::move(examples)),
        transform_(transform),
        first_(examples_.examples() * slice.rank / slice.ranks),
        last_(examples_.examples() * (slice.rank + 1) / slice.ranks),
        rows_(rows_of(batch, slice)),
        batches_(batches_for(slice.ranks)),
        queue_(
            examples_.owner->shape, rows_, slice.rank * rows_, batches_,
            [this](std::int64_t index, const Batch& into) { fill(index, into); }, ahead) {}

  std::int64_t examples() const override { return examples_.examples(); }
  std::int64_t batches() const override { return batches_; }
  const Batch& batch(std::int64_t index) override { return queue_.get(index); }

 private:
  // The same on every rank, enough for the largest share, so that ranks may communicate batch by batch.
  std::int64_t batches_for(std::int64_t ranks) const {
    const std::int64_t share = (examples_.examples() + ranks - 1) / ranks;
    return (share + rows_ - 1) / rows_;
  }

  void fill(std::int64_t index, const Batch& into) {
    for (std::int64_t row = 0; row < rows_; ++row) {
      const std::int64_t position = first_ + index * rows_ + row;
      if (position < last_) {
        put_row(examples_, transform_, examples_.places[static_cast<std::size_t>(position)], {}, into, row);
      } else {
        const std::int64_t size = into.images.numel() / rows_;
        std::fill_n(into.images.as<float>() + row * size, size, 0.0f);
        into.labels.as<std::int32_t>()[row] = -1;
      }
    }
  }

  ImageSelection examples_;
  ImageTransform transform_;
  std::int64_t first_, last_;  // this rank's examples
  std::int64_t rows_;
  std::int64_t batches_;
  BatchQueue queue_;  // last: its thread uses everything above
};

}  // namespace

void epoch_order(const std::vector<std::int64_t>& places, std::uint64_t seed, std::uint32_t epoch,
                 std::vector<std::int64_t>& order) {
  std::copy(places.begin(), places.end(), order.begin());
  const RngKey key{seed, stream_id("data_order"), epoch};
  for (std::uint64_t i = order.size(); i-- > 1;) std::swap(order[i], order[below(key, i, i + 1)]);
}

std::unique_ptr<BatchSource> make_train_source(ImageSelection examples, const ImageTransform& transform,
                                               const TrainOrder& order, std::int64_t batch, Slice slice, bool ahead) {
  if (batch > examples.examples()) {
    fail(ErrorKind::Settings, "a batch of {} rows is more than the {} training examples", batch, examples.examples());
  }
  return std::make_unique<TrainSource>(std::move(examples), transform, order, batch, slice, ahead);
}

std::unique_ptr<EvalSource> make_eval_source(ImageSelection examples, const ImageTransform& transform,
                                             std::int64_t batch, Slice slice, bool ahead) {
  return std::make_unique<PassSource>(std::move(examples), transform, batch, slice, ahead);
}

}  // namespace winnow
