// Convolutions and linear layers through oneDNN: one plan for one shape and direction, made once
// and run many times. A plan owns its primitives and borrows all memory, packed copies included
// (scratch_bytes()). One thread runs a plan at a time; oneDNN itself spreads the work over the
// plan's threads. onednn.cpp alone sees the library's headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/portable.h"

namespace winnow::cpu {

enum class Direction : std::uint8_t { Forward, BackwardData, BackwardWeights };

// Activations are NHWC of type `dtype`; weights {out, in / groups, kernel_h, kernel_w} and bias are
// f32.
struct ConvShape {
  std::int64_t batch, height, width, in, out, kernel_h, kernel_w, stride, pad, groups;
  DType dtype;
  bool bias;
  std::int64_t out_height() const { return (height + 2 * pad - kernel_h) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * pad - kernel_w) / stride + 1; }
  std::int64_t macs() const {
    return batch * out_height() * out_width() * out * (in / groups) * kernel_h * kernel_w;
  }
};

// x {rows, in} and y {rows, out} of type `dtype`; weights {out, in} and bias {out} are f32.
struct LinearShape {
  std::int64_t rows, in, out;
  DType dtype;
  bool bias;
  std::int64_t macs() const { return rows * in * out; }
};

// The four operands of a layer, or their gradients: the direction says which are read and which are
// written.
struct LayerBuffers {
  void* x;
  void* weights;
  void* bias;
  void* y;
};

class LayerPlan {
 public:
  LayerPlan(const ConvShape& shape, Direction direction, int threads);
  LayerPlan(const LinearShape& shape, Direction direction, int threads);
  ~LayerPlan();
  LayerPlan(LayerPlan&&) noexcept;
  LayerPlan& operator=(LayerPlan&&) noexcept;

  std::size_t scratch_bytes() const;
  void run(const LayerBuffers& buffers, std::byte* scratch);
  // oneDNN's name of the implementation it chose, for the benchmark.
  const char* implementation() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Does this processor multiply bf16 natively? Otherwise bf16 is slower than f32 and `precision:
// auto` means f32.
bool processor_has_bf16();

const char* onednn_version();  // "2.6.3"

}  // namespace winnow::cpu
