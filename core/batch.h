// Where training examples come from, as the trainer sees it. Implementations live in experiments/data.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/tensor.h"
#include "kernels/functors/make_images.h"

namespace winnow {

// Images are NHWC f32, normalised; labels in [0, classes), or -1 for padding rows that must not count.
struct Batch {
  TensorView images;           // {rows, H, W, C} f32
  TensorView labels;           // {rows} i32
  std::int64_t first_row = 0;  // index of row 0 in the whole (all ranks') batch
};

// Shape of one example and number of classes of a data set.
struct DataShape {
  std::int64_t height = 0, width = 0, channels = 0, classes = 0;
  bool operator==(const DataShape&) const = default;
};

// The bytes of a split, which all trials of a process share, and what makes numbers of them. Nothing of it changes.
struct Pixels {
  std::shared_ptr<const void> owner;    // of the bytes
  std::span<const std::uint8_t> bytes;  // {examples, H, W, C}
  DataShape shape;
  std::span<const float> scale, shift;  // value = byte * scale + shift, by place in a row of an image
};

// A batch as what its images are made of, for a device that has the pixels.
struct ChosenBatch {
  const Pixels* pixels = nullptr;
  std::span<const ImageChoice> rows;
  std::int64_t first_row = 0;
};

enum class Split : std::uint8_t { Train, Validation, Test };

// Batches by number, each a pure function of it. What a call gives is valid until the next one of the same kind.
class Batches {
 public:
  virtual ~Batches() = default;
  virtual const Batch& batch(std::int64_t index) = 0;
  // The same batch; null where the source has no bytes to choose from.
  virtual const ChosenBatch* chosen(std::int64_t /*index*/) { return nullptr; }
};

// The training split, endless: batch `index` (0-based, counted over the whole training) lies in
// epoch index / batches_per_epoch(). A pure function of (seed, index) and the rank's slice, so any
// batch can be asked for at any time (rewinding, resuming, probing); asking in order is fast, since
// the next batches are prepared ahead.
// Batches are this rank's rows of them.
class BatchSource : public Batches {
 public:
  virtual std::int64_t batches_per_epoch() const = 0;  // the last, incomplete batch of an epoch is dropped
};

// One pass over a split in file order, without augmentation; the last batch is padded with label
// -1.
class EvalSource : public Batches {
 public:
  virtual std::int64_t examples() const = 0;  // of the whole split, all ranks
  virtual std::int64_t batches() const = 0;   // of this rank
};

// How a data set is cut for one rank of one trial.
struct Slice {
  int rank = 0, ranks = 1;
};

// An open data set of one trial on one rank.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual DataShape shape() const = 0;
  virtual std::string digest() const = 0;            // of the files' contents, unpacked; for provenance
  virtual std::string remark() const { return ""; }  // how the files differ from the published ones; empty: not at all
  virtual std::int64_t examples(Split) const = 0;
  virtual std::size_t pixel_bytes() const { return 0; }  // of all that sources choose from (Batches::chosen)
  // `batch` counts the rows over all ranks; it must be a multiple of slice.ranks.
  virtual std::unique_ptr<BatchSource> train(std::int64_t batch, std::uint64_t order_seed, std::uint64_t augment_seed,
                                             Slice slice) = 0;
  virtual std::unique_ptr<EvalSource> eval(Split split, std::int64_t batch, Slice slice) = 0;
  // Whether sources made from now on prepare batches on a thread of their own. It pays off where a core is left
  // over for it. The batches are the same.
  virtual void read_ahead(bool) {}
};

}  // namespace winnow
