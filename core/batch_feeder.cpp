#include "core/batch_feeder.h"

#include <algorithm>

#include "kernels/for_each.h"

namespace winnow {
namespace {

std::size_t bytes_of_example(const DataShape& shape) {
  return static_cast<std::size_t>(shape.height * shape.width * shape.channels);
}

// In the place where it was, if it can be.
void resize(Memory& memory, const RunContext& context, std::size_t bytes) {
  if (memory.bytes() != bytes) memory = bytes > 0 ? Memory(context.stream(), bytes) : Memory();
}

}  // namespace

void BatchFeeder::restart() {
  looked_for_ = nullptr;
  pixels_.reset();
  make_.reset();
}

void BatchFeeder::find_pixels(const RunContext& context, const ChosenBatch& batch) {
  const Pixels& pixels = *batch.pixels;
  // Another number of rows too: of another program.
  if (looked_for_ != pixels.bytes.data() || choices_.bytes() != batch.rows.size_bytes()) {
    looked_for_ = pixels.bytes.data();
    pixels_ = pixels_on(context.stream(), pixels);
    resize(some_pixels_, context, pixels_ ? 0 : batch.rows.size() * bytes_of_example(pixels.shape));
    resize(choices_, context, batch.rows.size_bytes());
    resize(scale_, context, pixels.scale.size_bytes());
    resize(shift_, context, pixels.shift.size_bytes());
    context.write(scale_.get(), pixels.scale.data(), pixels.scale.size_bytes());
    context.write(shift_.get(), pixels.shift.data(), pixels.shift.size_bytes());
  }
}

std::span<const ImageChoice> BatchFeeder::send_some(const RunContext& context, const ChosenBatch& batch) {
  const std::size_t each = bytes_of_example(batch.pixels->shape);
  gathered_.resize(batch.rows.size() * each);
  gathered_rows_.assign(batch.rows.begin(), batch.rows.end());
  for (std::size_t i = 0; i < gathered_rows_.size(); ++i) {
    ImageChoice& row = gathered_rows_[i];
    if (row.example < 0) continue;
    const auto from = batch.pixels->bytes.subspan(static_cast<std::size_t>(row.example) * each, each);
    std::ranges::copy(from, gathered_.begin() + static_cast<std::ptrdiff_t>(i * each));
    row.example = static_cast<std::int32_t>(i);
  }
  context.write(some_pixels_.get(), gathered_.data(), gathered_.size());
  return gathered_rows_;
}

void BatchFeeder::prepare_pixels(const RunContext& context, Batches& source) {
  if (!context.stream()) return;
  if (const ChosenBatch* chosen = source.chosen(0)) find_pixels(context, *chosen);
}

std::int64_t BatchFeeder::feed(Program& program, ValueId images, ValueId labels, Batches& source, std::int64_t index) {
  const RunContext& context = program.context();
  const ChosenBatch* chosen = context.stream() ? source.chosen(index) : nullptr;
  make_.reset();
  if (chosen == nullptr) {
    const Batch& batch = source.batch(index);
    program.feed(images, batch.images.data);
    program.feed(labels, batch.labels.data);
    return batch.first_row;
  }
  find_pixels(context, *chosen);
  const std::span<const ImageChoice> rows = pixels_ ? chosen->rows : send_some(context, *chosen);
  context.write(choices_.get(), rows.data(), rows.size_bytes());
  const Memory& pixels = pixels_ ? pixels_->memory : some_pixels_;
  const DataShape& shape = chosen->pixels->shape;
  auto* const into = reinterpret_cast<float*>(program.fed_memory(images));
  auto* const into_labels = reinterpret_cast<std::int32_t*>(program.fed_memory(labels));
  exec_ = {.device = context.device(), .stream = context.stream()->queue()};
  numbers_ = program.view(images).numel();
  make_ = MakeImages{reinterpret_cast<const std::uint8_t*>(pixels.get()),
                     reinterpret_cast<const float*>(scale_.get()),
                     reinterpret_cast<const float*>(shift_.get()),
                     reinterpret_cast<const ImageChoice*>(choices_.get()),
                     shape.height,
                     shape.width,
                     shape.channels,
                     into,
                     into_labels};
  return chosen->first_row;
}

void BatchFeeder::make_images() const {
  if (make_) for_each(exec_, numbers_, *make_);
}

void BatchFeeder::join(Program::Beside& beside) const {
  if (!make_) return;
  beside.before = [this] { make_images(); };
  beside.places.insert(beside.places.end(), {make_->bytes, make_->scale, make_->shift, make_->rows});
}

}  // namespace winnow
