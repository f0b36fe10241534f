// Feeds batches to a program. On a device that has the bytes of the data set only the choice of examples is sent, and images
// are made there; elsewhere the images are. Owns its memory on the device and shares the bytes. Not synchronised.
#pragma once

#include <memory>

#include "core/batch.h"
#include "core/device_pixels.h"
#include "core/program.h"

namespace winnow {

class BatchFeeder {
 public:
  // Takes the memory on a device that feed() takes else: the bytes of the data set, as long as they are little of what is
  // free. So this comes after whatever a trial cannot do without.
  void prepare_pixels(const RunContext& context, Batches& source);
  // Gives the batch's first row. Queued on a device; on the CPU the program reads the source's images, so the batch must
  // stay valid until it has run.
  std::int64_t feed(Program& program, ValueId images, ValueId labels, Batches& source, std::int64_t index);
  // The bytes that it feeds from, to be kept for the next trial; null where there are none.
  const std::shared_ptr<const DevicePixels>& pixels() const { return pixels_; }

 private:
  bool find_pixels(const RunContext& context, const ChosenBatch& batch);

  const void* looked_for_ = nullptr;  // the bytes that find_pixels() looked for last
  std::shared_ptr<const DevicePixels> pixels_;
  Memory choices_, scale_, shift_;
};

}  // namespace winnow
