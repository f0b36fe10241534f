// Where training examples come from, as the trainer sees it. Implementations live in experiments/data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/tensor.h"

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

enum class Split : std::uint8_t { Train, Validation, Test };

// The training split, endless: batch `index` (0-based, counted over the whole training) lies in
// epoch index / batches_per_epoch(). A pure function of (seed, index) and the rank's slice, so any
// batch can be asked for at any time (rewinding, resuming, probing); asking in order is fast, since
// the next batches are prepared ahead.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual std::int64_t batches_per_epoch() const = 0;  // the last, incomplete batch of an epoch is dropped
  // Valid until the next call. This rank's rows of the batch.
  virtual const Batch& batch(std::int64_t index) = 0;
};

// One pass over a split in file order, without augmentation; the last batch is padded with label
// -1.
class EvalSource {
 public:
  virtual ~EvalSource() = default;
  virtual std::int64_t examples() const = 0;  // of the whole split, all ranks
  virtual std::int64_t batches() const = 0;   // of this rank
  virtual const Batch& batch(std::int64_t index) = 0;
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
  // `batch` counts the rows over all ranks; it must be a multiple of slice.ranks.
  virtual std::unique_ptr<BatchSource> train(std::int64_t batch, std::uint64_t order_seed, std::uint64_t augment_seed,
                                             Slice slice) = 0;
  virtual std::unique_ptr<EvalSource> eval(Split split, std::int64_t batch, Slice slice) = 0;
  // Whether sources made from now on prepare batches on a thread of their own. It pays off where a core is left
  // over for it. The batches are the same.
  virtual void read_ahead(bool) {}
};

}  // namespace winnow
