// softmax_cross_entropy: mean loss, correct counts, and the gradient of the logits, which the same
// pass over a row yields; the reverse is a scale of it.
#include "kernels/functors/softmax_cross_entropy.h"
#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

class SoftmaxCrossEntropy final : public Kernel {
 public:
  explicit SoftmaxCrossEntropy(const KernelSpec& spec)
      : name_(spec.node.name),
        rows_(spec.in[0].shape[0]),
        classes_(spec.in[0].shape[1]),
        smoothing_(static_cast<float>(spec.node.attrs.real("label_smoothing", 0.0))),
        denominator_(spec.node.attrs.integer("denominator", 0)) {}

  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(2 * rows_ + fold_partials(1, rows_)) * sizeof(float);
  }

  void run(const KernelCall& call) override {
    const auto* labels = call.in[1].as<std::int32_t>();
    std::int64_t valid = 0;
    for (std::int64_t row = 0; row < rows_; ++row) {
      valid += labels[row] >= 0 ? 1 : 0;
      if (labels[row] >= classes_) {
        fail(ErrorKind::Input, "node '{}': label {} of row {} is not below the {} classes", name_, labels[row], row,
             classes_);
      }
    }
    const std::int64_t denominator = std::max<std::int64_t>(1, denominator_ > 0 ? denominator_ : valid);
    const float inverse = 1.0f / static_cast<float>(denominator);
    auto* loss = reinterpret_cast<float*>(call.exec.scratch);
    auto* rank = reinterpret_cast<std::int32_t*>(loss + rows_);
    auto* partial = loss + 2 * rows_;
    with_float_type(call.in[0].dtype, [&]<class T>() {
      const SoftmaxCrossEntropyRow<T> row{call.in[0].as<T>(),  labels, classes_, smoothing_, inverse,
                                          call.out[3].as<T>(), loss,   rank};
      for_each_row(call.exec.threads, row);
    });
    float* total = call.out[0].as<float>();
    fold_rows(call.exec, 1, rows_, 0.0f, LoadRow<float>{loss, rows_}, Sum{}, StoreRow<float>{total}, partial);
    *total /= static_cast<float>(denominator);
    std::int32_t correct = 0, correct5 = 0;
    for (std::int64_t row = 0; row < rows_; ++row) {
      correct += rank[row] == 0 ? 1 : 0;
      correct5 += rank[row] >= 0 && rank[row] < 5 ? 1 : 0;
    }
    *call.out[1].as<std::int32_t>() = correct;
    *call.out[2].as<std::int32_t>() = correct5;
  }

 private:
  // A row is a loop of its own, so rows are not vectorised across.
  template <class Body>
  void for_each_row(int threads, const Body& body) const {
    const int parts = rows_ * classes_ < 1024 ? 1 : threads;
    if (parts == 1) {
      for (std::int64_t row = 0; row < rows_; ++row) body(row);
      return;
    }
#pragma omp parallel for num_threads(parts) schedule(static)
    for (std::int64_t row = 0; row < rows_; ++row) body(row);
  }

  std::string name_;
  std::int64_t rows_, classes_;
  float smoothing_;
  std::int64_t denominator_;
};

std::vector<ValueInfo> infer(std::span<const ValueInfo> in, const Attrs& attrs) {
  require(in.size() == 2, "takes logits and labels");
  require(is_float(in[0].dtype) && in[0].shape.rank() == 2 && in[0].shape[1] >= 1, "logits must be {N, classes}");
  require(in[1].dtype == DType::I32 && in[1].shape == Shape{in[0].shape[0]}, "labels must be {N} of i32");
  const double smoothing = attrs.real("label_smoothing", 0.0);
  require(smoothing >= 0 && smoothing < 1, fmt::format("label_smoothing must be in [0, 1), not {}", smoothing));
  require(attrs.integer("denominator", 0) >= 0, "denominator must not be negative");
  return {{Shape{}, DType::F32, "loss"},
          {Shape{1}, DType::I32, "correct"},
          {Shape{1}, DType::I32, "correct5"},
          {in[0].shape, in[0].dtype, "dlogits"}};
}

}  // namespace

void define_softmax_cross_entropy() {
  define_op({
      .name = "softmax_cross_entropy",
      .infer = infer,
      .reverse =
          [](Reverse& r) {
            if (r.out_grad(0) == kNoValue || !r.wants(0)) return;
            r.add(0, r.graph().emit1("scale_by", {r.node().out[3], r.out_grad(0)}, {}, r.node().name + "/grad"));
          },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<SoftmaxCrossEntropy>(spec); }},
      .examples = {{.label = "plain", .in = {{{6, 7}}, {{6}, DType::I32}}},
                   {.label = "smoothed",
                    .in = {{{5, 3}}, {{5}, DType::I32}},
                    .attrs = {{"label_smoothing", 0.1}, {"denominator", std::int64_t{8}}},
                    .low = -3,
                    .high = 3}},
  });
}

}  // namespace winnow::ops
