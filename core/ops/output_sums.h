// The sums of a convolution's output and of its square by channel, where its layer does not have them as it writes: a pass over
// what it wrote. For core/ops/ only; made by any thread, run by one at a time.
#pragma once

#include <cstddef>

#include "core/ops/dispatch.h"
#include "kernels/fold_columns.h"
#include "kernels/functors/channel_sums.h"
#include "kernels/layer.h"

namespace winnow::ops {

class OutputSums {
 public:
  explicit OutputSums(const ConvShape& shape)
      : fold_{shape.batch * shape.out_height() * shape.out_width(), shape.out}, dtype_(shape.dtype) {}
  std::size_t scratch_bytes() const { return sizeof(PairOf<float>) * fold_.partials(); }
  // `sums` is {2, channels}.
  void run(const Exec& exec, const void* y, float* sums) const {
    with_float_type(dtype_, [&]<class T>() {
      fold_columns(exec, fold_, ChannelSums<T>{static_cast<const T*>(y), fold_.channels},
                   StoreChannelSums{sums, fold_.channels}, reinterpret_cast<PairOf<float>*>(exec.scratch));
    });
  }

 private:
  ColumnFold fold_;
  DType dtype_;
};

}  // namespace winnow::ops
