// Feeds batches to a program. On a device images are made from the bytes of the data set: all of them lie there, or, where
// they would take too much of its memory, those of a batch are sent with it. Owns its memory on the device, which it keeps for
// the next trial so that recordings stay good, and shares the data set's. Not synchronised.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/batch.h"
#include "core/device_pixels.h"
#include "core/program.h"

namespace winnow {

class BatchFeeder {
 public:
  void restart();  // for another trial
  // Takes the memory on a device that feed() takes else: the bytes of the data set, as long as they are little of what is
  // free. So this comes after whatever a trial cannot do without.
  void prepare_pixels(const RunContext& context, Batches& source);
  // Gives the batch's first row. Queued on a device; on the CPU the program reads the source's images, so the batch must
  // stay valid until it has run.
  std::int64_t feed(Program& program, ValueId images, ValueId labels, Batches& source, std::int64_t index);
  // Whoever has fed a batch says when a device makes its images: as a part of the run that reads them, or now.
  void join(Program::Beside& beside) const;
  void make_images() const;
  // The bytes that it feeds from, to be kept for the next trial; null where there are none.
  const std::shared_ptr<const DevicePixels>& pixels() const { return pixels_; }

 private:
  void find_pixels(const RunContext& context, const ChosenBatch& batch);
  // The bytes of the chosen examples, one behind the other; gives the rows that choose from those.
  std::span<const ImageChoice> send_some(const RunContext& context, const ChosenBatch& batch);

  const void* looked_for_ = nullptr;            // the bytes that find_pixels() looked for last
  std::shared_ptr<const DevicePixels> pixels_;  // null: too much for the device
  Memory some_pixels_, choices_, scale_, shift_;
  std::optional<MakeImages> make_;  // of the batch that was fed last, where a device makes its images
  std::int64_t numbers_ = 0;        // of its images
  Exec exec_;
  std::vector<std::uint8_t> gathered_;
  std::vector<ImageChoice> gathered_rows_;
};

}  // namespace winnow
