#include "kernels/cuda/dry_layer.h"

#include "kernels/cuda/vendor/layer_rules.h"
#include "kernels/cuda/vendor/settings.h"
#include "kernels/dry.h"
#include "kernels/fold_rows.h"
#include "kernels/library_workspace.h"

namespace winnow::dry {

std::size_t most_library_workspace(bool is_convolution) {
  return static_cast<std::size_t>(is_convolution ? cuda::vendor::kConvolutionWorkspace
                                                 : cuda::vendor::kMatrixWorkspace);
}

}  // namespace winnow::dry

namespace winnow::cuda {
namespace {

std::size_t dry_bytes(std::int64_t count, DType type) { return static_cast<std::size_t>(count * size_of(type)); }

// kernels/cuda/vendor/matrix_layer.cpp, where cuBLASLt has an algorithm with the bias.
class DryMatrixLayer final : public PlannedLayer {
 public:
  DryMatrixLayer(const LinearShape& shape, Direction direction) : s_(shape), direction_(direction) {}
  std::size_t scratch_bytes() const override { return is_rounded() ? rounded_weights() + rounded_bias() : 0; }
  std::string implementation() const override { return "cuBLASLt, dry"; }

  void run(const LayerBuffers& buffers, const Exec& exec) override {
    if (is_rounded()) {
      dry::note_kernel(exec, {dry::argument(buffers.weights)}, 0, rounded_weights());
      if (rounded_bias() > 0) dry::note_kernel(exec, {dry::argument(buffers.bias)}, 0, rounded_bias());
    }
    const std::size_t from_scratch = is_rounded() ? rounded_weights() + rounded_bias() : 0;
    dry::note_call(exec, {buffers.x, buffers.y, is_rounded() ? nullptr : buffers.weights, buffers.bias}, from_scratch);
  }

 private:
  bool is_rounded() const { return s_.dtype == DType::BF16 && direction_ != Direction::BackwardWeights; }
  std::size_t rounded_weights() const { return dry_bytes(s_.out * s_.in, s_.dtype); }
  std::size_t rounded_bias() const {
    return s_.bias && direction_ == Direction::Forward ? dry_bytes(s_.out, s_.dtype) : 0;
  }
  LinearShape s_;
  Direction direction_;
};

// kernels/cuda/vendor/convolution_layer.cpp, with gradients of weights that cuDNN writes in f32.
class DryConvolutionLayer final : public PlannedLayer {
 public:
  DryConvolutionLayer(const ConvShape& shape, Direction direction)
      : s_(shape), wide_(vendor::padded_shape(shape)), direction_(direction) {}

  std::size_t scratch_bytes() const override {
    std::size_t bytes = packed_weights();
    if (!x_fits()) bytes += wide_x();
    if (wide_.out != s_.out) bytes += wide_y();
    if (sums_bias()) bytes += sizeof(float) * static_cast<std::size_t>(fold_partials(s_.out, y_rows()));
    return bytes;
  }
  bool writes_sums() const override { return s_.sums; }
  std::string implementation() const override { return "cuDNN, dry"; }

  void run(const LayerBuffers& buffers, const Exec& exec) override {
    const bool y_fits = wide_.out == s_.out;
    const bool reads_x = direction_ != Direction::BackwardData, reads_y = direction_ != Direction::Forward,
               reads_weights = direction_ != Direction::BackwardWeights;
    std::size_t read = 0, written = 0;  // of temporary memory, by cuDNN
    const auto temporary = [&](bool fits, bool is_read, std::size_t bytes) {
      if (!fits) (is_read ? read : written) += bytes;
    };
    temporary(x_fits(), reads_x, wide_x());
    temporary(y_fits, reads_y, wide_y());
    temporary(packed_weights() == 0, reads_weights, packed_weights());
    if (!x_fits() && reads_x) dry::note_kernel(exec, {dry::argument(buffers.x)}, 0, wide_x());
    if (!y_fits && reads_y) dry::note_kernel(exec, {dry::argument(buffers.y)}, 0, wide_y());
    if (packed_weights() > 0 && reads_weights) {
      dry::note_kernel(exec, {dry::argument(buffers.weights)}, 0, packed_weights());
    }
    dry::note_call(exec,
                   {x_fits() ? buffers.x : nullptr, y_fits ? buffers.y : nullptr,
                    packed_weights() == 0 ? buffers.weights : nullptr, buffers.sums},
                   read, written);
    if (!x_fits() && !reads_x) dry::note_kernel(exec, {dry::argument(buffers.x)}, wide_x(), 0);
    if (!y_fits && !reads_y) dry::note_kernel(exec, {dry::argument(buffers.y)}, wide_y(), 0);
    if (packed_weights() > 0 && !reads_weights) {
      dry::note_kernel(exec, {dry::argument(buffers.weights)}, packed_weights(), 0);
    }
    if (s_.bias && direction_ == Direction::Forward) {
      dry::note_kernel(exec, {dry::argument(buffers.bias), dry::argument(buffers.y)});
    }
    if (sums_bias()) dry::note_fold<float>(exec, s_.out, y_rows(), buffers.y, buffers.bias);
  }

 private:
  bool x_fits() const { return wide_.in == s_.x_channels(); }
  bool sums_bias() const { return s_.bias && direction_ == Direction::BackwardWeights; }
  std::int64_t y_rows() const { return s_.batch * s_.out_height() * s_.out_width(); }
  std::size_t wide_x() const { return dry_bytes(s_.batch * s_.height * s_.width * wide_.in, s_.dtype); }
  std::size_t wide_y() const { return dry_bytes(y_rows() * wide_.out, s_.dtype); }
  // 0: OIHW in f32 is what cuDNN takes or gives.
  std::size_t packed_weights() const {
    const DType type = direction_ == Direction::BackwardWeights ? DType::F32 : s_.dtype;
    const std::int64_t taps = s_.kernel_h * s_.kernel_w, in = s_.in / s_.groups;
    const bool same = wide_.in == s_.in && wide_.out == s_.out && (taps == 1 || in == 1);
    if (same && type == DType::F32) return 0;
    return dry_bytes(wide_.out * (wide_.in / wide_.groups) * taps, type);
  }
  ConvShape s_, wide_;
  Direction direction_;
};

}  // namespace

std::unique_ptr<PlannedLayer> dry_layer(const LinearShape& shape, Direction direction) {
  return std::make_unique<DryMatrixLayer>(shape, direction);
}

std::unique_ptr<PlannedLayer> dry_layer(const ConvShape& wanted, Direction direction) {
  ConvShape shape = wanted;
  shape.sums = wanted.sums && direction == Direction::Forward && vendor::may_write_sums(wanted);
  if (vendor::is_matrix_product(shape) && !shape.sums) return dry_layer(vendor::as_matrix_product(shape), direction);
  return std::make_unique<DryConvolutionLayer>(shape, direction);
}

}  // namespace winnow::cuda
