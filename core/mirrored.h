// A tensor that a device computes with and the host looks at now and then: a copy on either side, fetched when the host
// asks for it and sent before the device goes on. Without a device the host's copy is all there is. Owns both; move-only,
// not synchronised.
#pragma once

#include <memory>
#include <span>

#include "core/memory.h"
#include "core/tensor.h"

namespace winnow {

class Mirrored {
 public:
  Mirrored() = default;
  Mirrored(DType dtype, const Shape& shape, std::shared_ptr<DeviceStream> stream = nullptr);

  const Shape& shape() const { return shape_; }
  std::int64_t numel() const { return shape_.numel(); }
  std::size_t bytes() const { return host_.view().bytes(); }  // of one copy

  // What programs bind: the device's copy.
  TensorView memory() const;

  std::span<const float> read() const;
  // The device's copy is out of date from here on.
  std::span<float> change();
  std::span<float> overwrite();  // the same where every entry will be written: nothing is fetched
  // For whoever writes every entry where programs bind it, of a device by a kernel: nothing is sent.
  TensorView overwrite_memory();
  void zero();  // there, too

  void send();          // the device has what the host changed
  void device_wrote();  // the device has changed it

 private:
  enum class Newest : std::uint8_t { Both, Host, Device };
  void fetch() const;
  Shape shape_;
  std::shared_ptr<DeviceStream> stream_;
  Tensor host_;
  Memory device_;
  mutable Newest newest_ = Newest::Both;
};

}  // namespace winnow
