// One convolution in one direction by a cuDNN execution plan, for one shape and device: the seam behind which cuDNN is, so
// that a test without a device replaces convolution_plan.cpp alone. Owns the plan; borrows operands and workspace. run() may
// be called by several threads, which take turns: cuDNN's plans are not safe to execute at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/layer.h"

namespace winnow::cuda::vendor {

// cuDNN has no way to compute a shape within the rules below.
struct NoPlan : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ConvolutionPlan {
 public:
  // x {batch, height, width, in}, w {out, kernel_h, kernel_w, in / groups} and y {batch, out_height, out_width, out}, dense in
  // this order and aligned to 16 bytes; x and y of shape.dtype. No bias. Sums are f32, and the bits are the same in each run.
  // With shape.sums, which is for Forward and not for groups, the plan also gives {2, out} f32, each row aligned to 16 bytes:
  // the sums over all pixels of y, before it is rounded, and of its square. Throws NoPlan.
  ConvolutionPlan(const ConvShape& shape, Direction direction, std::int64_t workspace_limit);
  // What one of the same shape and direction has written(), on a GPU and with a library of the same maker(). NoPlan where the
  // library does not take it.
  ConvolutionPlan(const ConvShape& shape, Direction direction, std::span<const std::uint8_t> written);
  ~ConvolutionPlan();
  ConvolutionPlan(const ConvolutionPlan&) = delete;
  ConvolutionPlan& operator=(const ConvolutionPlan&) = delete;

  // One line: the library and the present device, on which it depends what a plan is.
  static std::string maker();
  // The plan as bytes; none where the library cannot say.
  std::vector<std::uint8_t> written() const;

  std::size_t workspace_bytes() const;
  // Of w: shape.dtype, but f32 for a gradient that cuDNN writes unrounded.
  DType weights_type() const;
  std::string name() const;  // cuDNN's of the engine and its settings, where it has one
  // Forward reads x and w and writes y; BackwardData reads y and w and writes x; BackwardWeights reads x and y and writes w.
  // The workspace is aligned to 256 bytes. Queues on `stream`, a cudaStream_t, and does nothing else. `sums` are those of a
  // plan that has them.
  void run(void* stream, void* x, void* w, void* y, void* workspace, float* sums = nullptr);

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
  std::mutex running_;
};

}  // namespace winnow::cuda::vendor
