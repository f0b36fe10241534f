#include "core/mirrored.h"

#include <algorithm>
#include <utility>

namespace winnow {

Mirrored::Mirrored(DType dtype, const Shape& shape, std::shared_ptr<DeviceStream> stream)
    : shape_(shape), stream_(std::move(stream)), host_(dtype, shape) {
  if (stream_) device_ = Memory(stream_, bytes());
}

TensorView Mirrored::memory() const {
  TensorView view = host_.view();
  if (stream_) view.data = device_.get();
  return view;
}

void Mirrored::fetch() const {
  if (newest_ != Newest::Device) return;
  stream_->download(host_.view().data, device_.get(), bytes());
  newest_ = Newest::Both;
}

std::span<const float> Mirrored::read() const {
  fetch();
  return host_.span<float>();
}

std::span<float> Mirrored::change() {
  fetch();
  return overwrite();
}

std::span<float> Mirrored::overwrite() {
  if (stream_) newest_ = Newest::Host;
  return host_.span<float>();
}

TensorView Mirrored::overwrite_memory() {
  device_wrote();
  return memory();
}

void Mirrored::zero() {
  const TensorView all = overwrite_memory();
  if (stream_) return stream_->zero(all.data, all.bytes());
  std::ranges::fill(all.span<float>(), 0.0f);
}

void Mirrored::send() {
  if (newest_ != Newest::Host) return;
  stream_->upload(device_.get(), host_.view().data, bytes());
  newest_ = Newest::Both;
}

void Mirrored::device_wrote() {
  if (stream_) newest_ = Newest::Device;
}

}  // namespace winnow
