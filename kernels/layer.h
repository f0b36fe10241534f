// One layer in one direction, ready to run. Each way of computing it on one device is one class;
// each device has a function that picks the fastest (kernels/cpu/layers.h). A layer owns its plan,
// borrows operands and scratch, and is run by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/exec.h"
#include "kernels/portable.h"

namespace winnow {

enum class Direction : std::uint8_t { Forward, BackwardData, BackwardWeights };

// Activations are NHWC of type `dtype`; weights {out, in / groups, kernel_h, kernel_w} and bias are f32.
struct ConvShape {
  std::int64_t batch, height, width, in, out, kernel_h, kernel_w, stride, pad, groups;
  DType dtype;
  bool bias;
  bool sums = false;  // forward: those of y and of y * y by channel as well, {2, out} in f32
  // Channels of x in memory, where zeros lie behind the `in` of the layer; 0: there are none. Never of dx.
  std::int64_t padded_in = 0;
  WINNOW_HD std::int64_t x_channels() const { return padded_in > 0 ? padded_in : in; }
  WINNOW_HD std::int64_t out_height() const { return (height + 2 * pad - kernel_h) / stride + 1; }
  WINNOW_HD std::int64_t out_width() const { return (width + 2 * pad - kernel_w) / stride + 1; }
  std::int64_t macs() const { return batch * out_height() * out_width() * out * (in / groups) * kernel_h * kernel_w; }
  // With stride 1 the gradient of the input is this convolution of dy, with the weights turned by
  // half a turn (kernels/cpu/layout.h), and the other way round.
  ConvShape turned() const {
    return {batch, out_height(), out_width(), out, in, kernel_h, kernel_w, stride, kernel_h - 1 - pad, 1, dtype, false};
  }
};

// x {rows, in} and y {rows, out} of type `dtype`; weights {out, in} and bias {out} are f32.
struct LinearShape {
  std::int64_t rows, in, out;
  DType dtype;
  bool bias;
  std::int64_t macs() const { return rows * in * out; }
};

// The four operands of a layer, or their gradients: the direction says which are read and which are written.
struct LayerBuffers {
  void* x;
  void* weights;
  void* bias;
  void* y;
  void* sums = nullptr;  // of a layer that writes_sums()
};

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

class PlannedLayer {
 public:
  PlannedLayer() = default;
  virtual ~PlannedLayer() = default;
  PlannedLayer(const PlannedLayer&) = delete;
  PlannedLayer& operator=(const PlannedLayer&) = delete;
  virtual std::size_t scratch_bytes() const = 0;
  virtual void run(const LayerBuffers& buffers, const Exec& exec) = 0;
  // Where the shape asks for sums: whether they come along. If not, the caller has to read y for them.
  virtual bool writes_sums() const { return false; }
  // For the benchmark: who computes it and how.
  virtual std::string implementation() const = 0;
};

}  // namespace winnow
