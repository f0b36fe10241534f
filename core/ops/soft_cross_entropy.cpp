// soft_cross_entropy: mean cross-entropy of the logits to the class probabilities of another network, by its logits, and
// the gradient of the logits, which the same pass over a row yields; the other network is not trained.
// max_probability: of each row, the probability of its most probable class. shuffle_others: the entries of each row
// change places at random, but for the largest, which stays. Neither has a gradient: they act on a teacher's outputs.
#include "kernels/functors/soft_cross_entropy.h"
#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

// One functor call does the work of a row of classes.
std::int64_t rows_a_chunk(std::int64_t classes) { return 1 + 1023 / classes; }

class SoftCrossEntropy final : public Kernel {
 public:
  explicit SoftCrossEntropy(const KernelSpec& spec) : rows_(spec.in[0].shape[0]), classes_(spec.in[0].shape[1]) {}

  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(rows_ + fold_partials(1, rows_)) * sizeof(float);
  }

  void run(const KernelCall& call) override {
    const Exec& exec = call.exec;
    const float scale = 1.0f / static_cast<float>(rows_);
    auto* loss = reinterpret_cast<float*>(exec.scratch);
    with_float_type(call.in[0].dtype, [&]<class T>() {
      for_rows(
          exec, rows_,
          SoftCrossEntropyRow<T>{call.in[0].as<T>(), call.in[1].as<T>(), classes_, scale, call.out[1].as<T>(), loss},
          rows_a_chunk(classes_));
    });
    fold_rows(exec, 1, rows_, 0.0f, LoadRowLoss{loss}, Sum{}, StoreScaledLoss{scale, call.out[0].as<float>(), exec.run},
              loss + rows_);
  }

 private:
  std::int64_t rows_, classes_;
};

void require_logits(std::span<const ValueInfo> in, std::size_t arity) {
  require(in.size() == arity, fmt::format("takes {} inputs, not {}", arity, in.size()));
  require(is_float(in[0].dtype) && in[0].shape.rank() == 2 && in[0].shape[1] >= 1, "logits must be {N, classes}");
}

std::vector<ValueInfo> infer_soft_cross_entropy(std::span<const ValueInfo> in, const Attrs&) {
  require_logits(in, 2);
  require(in[1].shape == in[0].shape && in[1].dtype == in[0].dtype, "both logits must have one shape and type");
  return {{Shape{}, DType::F32, "loss"}, {in[0].shape, in[0].dtype, "dlogits"}};
}

void keep_classes(ChannelTies& ties) { ties.keep(ties.node().in[0], -1); }

void define_max_probability() {
  define_op({
      .name = "max_probability",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require_logits(in, 1);
        return {{Shape{in[0].shape[0]}, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   const std::int64_t classes = call.in[0].shape[1];
                   with_float_type(call.in[0].dtype, [&]<class T>() {
                     for_rows(call.exec, call.in[0].shape[0],
                              MaxProbabilityRow<T>{call.in[0].as<T>(), classes, call.out[0].as<float>()},
                              rows_a_chunk(classes));
                   });
                 })},
      .examples = {{.label = "plain", .in = {{{6, 7}}}, .low = -3, .high = 3}},
  });
}

void define_shuffle_others() {
  define_op({
      .name = "shuffle_others",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require_logits(in, 1);
        return {{in[0].shape, in[0].dtype}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const std::int64_t classes = call.in[0].shape[1];
                   with_float_type(call.in[0].dtype, [&]<class T>() {
                     for_rows(call.exec, call.in[0].shape[0],
                              ShuffleOthersRow<T>{call.in[0].as<T>(), call.out[0].as<T>(), classes,
                                                  &call.exec.run->feed, stream_id(spec.node.name)},
                              rows_a_chunk(classes));
                   });
                 })},
      .channels = {.tie = keep_classes},
      .examples = {{.label = "plain", .in = {{{6, 7}}}}, {.label = "one class", .in = {{{3, 1}}}}},
  });
}

}  // namespace

void define_soft_cross_entropy() {
  define_op({
      .name = "soft_cross_entropy",
      .infer = infer_soft_cross_entropy,
      .reverse =
          [](Reverse& r) {
            if (r.out_grad(0) == kNoValue || !r.wants(0)) return;
            r.add(0, r.graph().emit1("scale_by", {r.node().out[1], r.out_grad(0)}, {}, r.node().name + "/grad"));
          },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<SoftCrossEntropy>(spec); }},
      .channels = {.tie = keep_classes},
      .examples = {{.label = "plain", .in = {{{6, 7}}, {{6, 7}}}, .differentiable = {0}},
                   {.label = "confident", .in = {{{5, 3}}, {{5, 3}}}, .differentiable = {0}, .low = -3, .high = 3}},
  });
  define_max_probability();
  define_shuffle_others();
}

}  // namespace winnow::ops
