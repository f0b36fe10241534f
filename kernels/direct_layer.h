// A layer by its definition (kernels/functors/direct_layer.h), on any device: right for every shape, and slow. Where nothing
// faster is known, and what faster ones are compared with. As every PlannedLayer it borrows operands and scratch and is run by
// one thread at a time.
#pragma once

#include "kernels/layer.h"

namespace winnow {

class DirectLayer final : public PlannedLayer {
 public:
  DirectLayer(const ConvShape& shape, Direction direction) : s_(shape), direction_(direction) {}
  DirectLayer(const LinearShape& shape, Direction direction);
  std::size_t scratch_bytes() const override;
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override { return "direct"; }

 private:
  template <class T>
  void run_as(const LayerBuffers& buffers, const Exec& exec) const;
  std::int64_t pixels() const { return s_.batch * s_.out_height() * s_.out_width(); }  // of y
  std::int64_t weights() const { return s_.out * (s_.in / s_.groups) * s_.kernel_h * s_.kernel_w; }

  ConvShape s_;
  Direction direction_;
};

}  // namespace winnow
