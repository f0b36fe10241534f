// softmax_cross_entropy: mean loss, correct counts, and the gradient of the logits, which the same
// pass over a row yields; the reverse is a scale of it. Rows may have weights, which get no gradient.
#include "kernels/functors/softmax_cross_entropy.h"
#include "core/double_ops.h"
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
        smoothing_(spec.real("label_smoothing")),
        denominator_(spec.node.attrs.integer("denominator", 0)) {}

  std::size_t scratch_bytes() const override { return kMean + 2 * rows_bytes() + partial_bytes(); }

  void run(const KernelCall& call) override {
    const Exec& exec = call.exec;
    const auto* labels = call.in[1].as<std::int32_t>();
    const float* weights = call.in.size() > 2 ? call.in[2].as<float>() : nullptr;
    auto* mean = reinterpret_cast<MeanRows*>(exec.scratch);
    auto* loss = reinterpret_cast<float*>(exec.scratch + kMean);
    auto* rank = reinterpret_cast<std::int32_t*>(loss + rows_);
    std::byte* partial = exec.scratch + kMean + 2 * rows_bytes();
    fold_rows(exec, 1, rows_, std::int32_t{0}, LoadCounted{labels}, Sum{}, StoreMeanRows{denominator_, mean},
              reinterpret_cast<std::int32_t*>(partial));
    with_float_type(call.in[0].dtype, [&]<class T>() {
      for_rows(exec, rows_,
               SoftmaxCrossEntropyRow<T>{call.in[0].as<T>(), labels, weights, classes_, smoothing_, mean,
                                         call.out[3].as<T>(), loss, rank, exec.run},
               1 + 1023 / classes_);
    });
    fold_rows(exec, 1, rows_, LossSums{}, LoadLoss{loss, rank}, AddLosses{},
              StoreLoss{mean, call.out[0].as<float>(), call.out[1].as<std::int32_t>(), call.out[2].as<std::int32_t>(),
                        exec.run},
              reinterpret_cast<LossSums*>(partial));
  }

  void check(const RunStatus& status) const override {
    if (status.bad_label == RunStatus::kNoLabel) return;
    fail(ErrorKind::Input, "node '{}': label {} of row {} is not below the {} classes", name_,
         static_cast<std::int32_t>(status.bad_label), status.bad_label >> 32, classes_);
  }

 private:
  static constexpr std::size_t kMean = 64;  // keeps what follows aligned
  std::size_t rows_bytes() const { return static_cast<std::size_t>(rows_) * sizeof(float); }
  std::size_t partial_bytes() const { return static_cast<std::size_t>(fold_partials(1, rows_)) * sizeof(LossSums); }

  std::string name_;
  std::int64_t rows_, classes_;
  const double* smoothing_;
  std::int64_t denominator_;
};

std::vector<ValueInfo> infer_softmax_cross_entropy(std::span<const ValueInfo> in, const Attrs& attrs) {
  require(in.size() == 2 || in.size() == 3, "takes logits and labels, and weights of the rows");
  require(is_float(in[0].dtype) && in[0].shape.rank() == 2 && in[0].shape[1] >= 1, "logits must be {N, classes}");
  require(in[1].dtype == DType::I32 && in[1].shape == Shape{in[0].shape[0]}, "labels must be {N} of i32");
  require(in.size() == 2 || (in[2].dtype == DType::F32 && in[2].shape == in[1].shape), "weights must be {N} of f32");
  const double smoothing = attrs.real("label_smoothing");
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
      .in_double = in_double::softmax_cross_entropy,
      .infer = infer_softmax_cross_entropy,
      .defaults = {{"label_smoothing", 0.0}},
      .reverse =
          [](Reverse& r) {
            if (r.out_grad(0) == kNoValue || !r.wants(0)) return;
            r.add(0, r.graph().emit1("scale_by", {r.node().out[3], r.out_grad(0)}, {}, r.node().name + "/grad"));
          },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<SoftmaxCrossEntropy>(spec); }},
      .channels = {.tie = [](ChannelTies& ties) { ties.keep(ties.node().in[0], -1); }},
      .examples = {{.label = "plain", .in = {{{6, 7}}, {{6}, DType::I32}}},
                   {.label = "smoothed",
                    .in = {{{5, 3}}, {{5}, DType::I32}},
                    .attrs = {{"label_smoothing", 0.1}, {"denominator", std::int64_t{8}}},
                    .low = -3,
                    .high = 3},
                   {.label = "weighted",
                    .in = {{{5, 3}}, {{5}, DType::I32}, {{5}}},
                    .attrs = {{"label_smoothing", 0.1}},
                    .differentiable = {0}}},
  });
}

}  // namespace winnow::ops
