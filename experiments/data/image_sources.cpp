#include "experiments/data/image_sources.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <span>
#include <utility>

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

// The two forms in which a source gives a batch: images, made ahead by a queue, and choices. Each has a chooser of its own,
// since the queue may have a thread.
class ImageBatches {
 public:
  using Choose = std::function<void(std::int64_t index, std::span<ImageChoice> rows)>;

  ImageBatches(const ImageSelection& examples, const ImageTransform& transform, std::int64_t rows,
               std::int64_t first_row, std::int64_t limit, Choose choose_ahead, Choose choose, bool ahead)
      : transform_(transform),
        bytes_(examples.split->pixels),
        pixels_{examples.owner, bytes_, examples.owner->shape, transform_.scale(), transform_.shift()},
        choose_ahead_(std::move(choose_ahead)),
        choose_(std::move(choose)),
        rows_ahead_(static_cast<std::size_t>(rows)),
        rows_(static_cast<std::size_t>(rows)),
        chosen_{&pixels_, rows_, first_row},
        queue_(
            examples.owner->shape, rows, first_row, limit,
            [this](std::int64_t index, const Batch& into) { fill(index, into); }, ahead) {}
  ImageBatches(const ImageBatches&) = delete;
  ImageBatches& operator=(const ImageBatches&) = delete;

  const Batch& batch(std::int64_t index) { return queue_.get(index); }
  const ChosenBatch* chosen(std::int64_t index) {
    choose_(index, rows_);
    return &chosen_;
  }

 private:
  void fill(std::int64_t index, const Batch& into) {
    choose_ahead_(index, rows_ahead_);
    const std::int64_t size = into.images.numel() / into.labels.numel();
    float* out = into.images.as<float>();
    std::int32_t* label = into.labels.as<std::int32_t>();
    for (const ImageChoice& row : rows_ahead_) {
      *label++ = row.label;
      if (row.example < 0) {
        std::fill_n(out, size, 0.0f);
      } else {
        transform_.apply(bytes_.data() + row.example * size, {row.dy, row.dx, row.mirror != 0}, out);
      }
      out += size;
    }
  }

  ImageTransform transform_;
  std::span<const std::uint8_t> bytes_;
  Pixels pixels_;
  Choose choose_ahead_, choose_;
  std::vector<ImageChoice> rows_ahead_, rows_;
  ChosenBatch chosen_;
  BatchQueue queue_;  // last: its thread uses everything above
};

ImageChoice choice(const ImageSelection& examples, std::int64_t place, const Augmentation& how) {
  return {static_cast<std::int32_t>(place), examples.split->labels[static_cast<std::size_t>(place)],
          static_cast<std::int16_t>(how.dy), static_cast<std::int16_t>(how.dx), how.mirror ? 1 : 0};
}

// Rows of training batches. Keeps the order of the epoch that was asked for last, if there is another one than that of the file.
class TrainRows {
 public:
  TrainRows(std::shared_ptr<const ImageSelection> examples, const TrainOrder& order, std::int64_t batch,
            std::int64_t first_row)
      : examples_(std::move(examples)), how_(order), batch_(batch), first_row_(first_row) {}

  void operator()(std::int64_t index, std::span<ImageChoice> rows) {
    const std::int64_t per_epoch = examples_->examples() / batch_;
    const auto epoch = static_cast<std::uint32_t>(index / per_epoch);
    if (how_.shuffle && (order_.empty() || epoch != epoch_)) {
      epoch_order(examples_->places, how_.order_seed, epoch, order_);
      epoch_ = epoch;
    }
    const std::vector<std::int64_t>& order = how_.shuffle ? order_ : examples_->places;
    const RngKey key{how_.augment_seed, stream_id("augment"), epoch};
    const bool augmented = how_.augment != AugmentRange{};
    auto position = static_cast<std::uint64_t>((index % per_epoch) * batch_ + first_row_);
    for (ImageChoice& row : rows) {
      const Augmentation how = augmented ? draw_augmentation(how_.augment, key, position) : Augmentation{};
      row = choice(*examples_, order[position++], how);
    }
  }

 private:
  std::shared_ptr<const ImageSelection> examples_;
  TrainOrder how_;
  std::int64_t batch_, first_row_;
  std::vector<std::int64_t> order_;
  std::uint32_t epoch_ = 0;
};

class TrainSource : public BatchSource {
 public:
  TrainSource(ImageSelection examples, const ImageTransform& transform, const TrainOrder& order, std::int64_t batch,
              Slice slice, bool ahead)
      : TrainSource(std::make_shared<const ImageSelection>(std::move(examples)), transform, order, batch,
                    rows_of(batch, slice), slice.rank * rows_of(batch, slice), ahead) {}

  std::int64_t batches_per_epoch() const override { return batches_per_epoch_; }
  const Batch& batch(std::int64_t index) override { return batches_.batch(index); }
  const ChosenBatch* chosen(std::int64_t index) override { return batches_.chosen(index); }

 private:
  TrainSource(const std::shared_ptr<const ImageSelection>& examples, const ImageTransform& transform,
              const TrainOrder& order, std::int64_t batch, std::int64_t rows, std::int64_t first_row, bool ahead)
      : batches_per_epoch_(examples->examples() / batch),
        batches_(*examples, transform, rows, first_row, std::numeric_limits<std::int64_t>::max(),
                 TrainRows(examples, order, batch, first_row), TrainRows(examples, order, batch, first_row), ahead) {}

  std::int64_t batches_per_epoch_;
  ImageBatches batches_;
};

// This rank's examples one after the other.
class PassSource : public EvalSource {
 public:
  PassSource(ImageSelection examples, const ImageTransform& transform, std::int64_t batch, Slice slice, bool ahead)
      : examples_(std::move(examples)),
        first_(examples_.examples() * slice.rank / slice.ranks),
        last_(examples_.examples() * (slice.rank + 1) / slice.ranks),
        batches_count_(batches_for(rows_of(batch, slice), slice.ranks)),
        batches_(examples_, transform, rows_of(batch, slice), slice.rank * rows_of(batch, slice), batches_count_,
                 choose(), choose(), ahead) {}

  std::int64_t examples() const override { return examples_.examples(); }
  std::int64_t batches() const override { return batches_count_; }
  const Batch& batch(std::int64_t index) override { return batches_.batch(index); }
  const ChosenBatch* chosen(std::int64_t index) override { return batches_.chosen(index); }

 private:
  // The same on every rank, enough for the largest share, so that ranks may communicate batch by batch.
  std::int64_t batches_for(std::int64_t rows, std::int64_t ranks) const {
    const std::int64_t share = (examples_.examples() + ranks - 1) / ranks;
    return (share + rows - 1) / rows;
  }

  ImageBatches::Choose choose() const {
    return [this](std::int64_t index, std::span<ImageChoice> rows) {
      std::int64_t position = first_ + index * static_cast<std::int64_t>(rows.size());
      for (ImageChoice& row : rows) {
        row = {.example = -1, .label = -1, .dy = 0, .dx = 0, .mirror = 0};
        if (position < last_) row = choice(examples_, examples_.places[static_cast<std::size_t>(position)], {});
        ++position;
      }
    };
  }

  ImageSelection examples_;
  std::int64_t first_, last_;
  std::int64_t batches_count_;
  ImageBatches batches_;
};

}  // namespace

void epoch_order(const std::vector<std::int64_t>& places, std::uint64_t seed, std::uint32_t epoch,
                 std::vector<std::int64_t>& order) {
  order = places;
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
