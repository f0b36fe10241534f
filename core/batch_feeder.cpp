#include "core/batch_feeder.h"

#include "kernels/for_each.h"

namespace winnow {

bool BatchFeeder::find_pixels(const RunContext& context, const ChosenBatch& batch) {
  const Pixels& pixels = *batch.pixels;
  if (looked_for_ != pixels.bytes.data()) {
    looked_for_ = pixels.bytes.data();
    pixels_ = pixels_on(context.stream(), pixels);
    choices_ = Memory(context.stream(), batch.rows.size_bytes());
    scale_ = Memory(context.stream(), pixels.scale.size_bytes());
    shift_ = Memory(context.stream(), pixels.shift.size_bytes());
    context.write(scale_.get(), pixels.scale.data(), pixels.scale.size_bytes());
    context.write(shift_.get(), pixels.shift.data(), pixels.shift.size_bytes());
  }
  return pixels_ != nullptr;
}

void BatchFeeder::prepare_pixels(const RunContext& context, Batches& source) {
  if (!context.stream()) return;
  if (const ChosenBatch* chosen = source.chosen(0)) find_pixels(context, *chosen);
}

std::int64_t BatchFeeder::feed(Program& program, ValueId images, ValueId labels, Batches& source, std::int64_t index) {
  const RunContext& context = program.context();
  const ChosenBatch* chosen = context.stream() ? source.chosen(index) : nullptr;
  if (chosen == nullptr || !find_pixels(context, *chosen)) {
    const Batch& batch = source.batch(index);
    program.feed(images, batch.images.data);
    program.feed(labels, batch.labels.data);
    return batch.first_row;
  }
  context.write(choices_.get(), chosen->rows.data(), chosen->rows.size_bytes());
  const DataShape& shape = chosen->pixels->shape;
  auto* const into = reinterpret_cast<float*>(program.fed_memory(images));
  auto* const into_labels = reinterpret_cast<std::int32_t*>(program.fed_memory(labels));
  for_each(Exec{.device = context.device(), .stream = context.stream()->queue()}, program.view(images).numel(),
           MakeImages{reinterpret_cast<const std::uint8_t*>(pixels_->memory.get()),
                      reinterpret_cast<const float*>(scale_.get()), reinterpret_cast<const float*>(shift_.get()),
                      reinterpret_cast<const ImageChoice*>(choices_.get()), shape.height, shape.width, shape.channels,
                      into, into_labels});
  return chosen->first_row;
}

}  // namespace winnow
