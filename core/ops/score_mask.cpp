// score_mask: a weight of which only the share `density` with the largest |score| is used. Outputs
// the effective weight and its mask. The gradient of the scores is straight-through: the mask is taken for |score|.
#include "kernels/functors/score_mask.h"

#include <algorithm>
#include <memory>

#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/top_k.h"
#include "kernels/layer.h"
#include "kernels/top_k.h"

namespace winnow::ops {
namespace {

// dy, w, score -> dscore.
void define_score_mask_backward_scores() {
  define_op({
      .name = "score_mask_backward_scores",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 3); },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(),
                            ScoreGradient{call.in[0].as<float>(), call.in[1].as<float>(), call.in[2].as<float>(),
                                          call.out[0].as<float>()});
                 })},
      .inplace = 0,
  });
}

// dy, mask -> dw; all of dy where the mask's memory is null while the program runs.
void define_apply_mask() {
  define_op({
      .name = "apply_mask",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 2 && in[0].shape == in[1].shape && in[1].dtype == DType::U8,
                "takes a tensor and a u8 mask of the same shape");
        return {{in[0].shape, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(),
                            ApplyMask{call.in[0].as<float>(), call.in[1].as<std::uint8_t>(), call.out[0].as<float>()});
                 })},
      .inplace = 0,
  });
}

class ScoreMask final : public Kernel {
 public:
  explicit ScoreMask(const KernelSpec& spec) : density_(spec.real("density")), n_(spec.out[0].shape.numel()) {}
  std::size_t scratch_bytes() const override { return static_cast<std::size_t>(n_) * sizeof(std::uint32_t); }
  void run(const KernelCall& call) override {
    auto* mask = call.out[1].as<std::uint8_t>();
    keep_largest(call.in[1].span<const float>(), dropped_of(n_, *density_), mask,
                 reinterpret_cast<std::uint32_t*>(call.exec.scratch));
    for_each(call.exec, n_, ApplyMask{call.in[0].as<float>(), mask, call.out[0].as<float>()});
  }

 private:
  const double* density_;
  std::int64_t n_;
};

// On devices (kernels/functors/top_k.h).
class ScoreMaskOfFunctors final : public Kernel {
 public:
  explicit ScoreMaskOfFunctors(const KernelSpec& spec)
      : density_(spec.real("density")),
        n_(spec.out[0].shape.numel()),
        chunk_entries_(std::max<std::int64_t>(512, (n_ + kMostChunks - 1) / kMostChunks)),
        chunks_((n_ + chunk_entries_ - 1) / chunk_entries_) {}
  std::size_t scratch_bytes() const override { return places().end; }
  void run(const KernelCall& call) override {
    const Exec& exec = call.exec;
    const Places at = places();
    auto* selection = reinterpret_cast<Selection*>(exec.scratch);
    const auto ints = [&](std::size_t place) { return reinterpret_cast<std::int32_t*>(exec.scratch + place); };
    auto *counts = ints(at.counts), *totals = ints(at.totals), *before = ints(at.before);
    const auto* score = call.in[1].as<float>();
    auto* mask = call.out[1].as<std::uint8_t>();
    for_rows(exec, 1, StartSelection{selection, n_, density_});
    for (int pass = kSelectPasses - 1; pass >= 0; --pass) {
      for_rows(exec, chunks_, CountDigits{score, n_, chunk_entries_, pass * kSelectBits, selection, counts});
      fold_rows(exec, kSelectDigits, chunks_, std::int32_t{0}, LoadDigitCounts{counts}, Sum{},
                StoreRow<std::int32_t>{totals}, ints(at.partial));
      for_rows(exec, 1, PickDigit{totals, selection});
    }
    for_rows(exec, 1, CountEqualBefore{counts, selection, chunks_, before});
    for_rows(exec, chunks_, KeepSelected{score, n_, chunk_entries_, selection, before, mask});
    for_each(exec, n_, ApplyMask{call.in[0].as<float>(), mask, call.out[0].as<float>()});
  }

 private:
  static constexpr std::int64_t kMostChunks = 8192;  // one thread adds up a number of each
  // In scratch, behind the selection.
  struct Places {
    std::size_t counts, totals, before, partial, end;
  };
  Places places() const {
    const auto bytes = [](std::int64_t ints) { return aligned(sizeof(std::int32_t) * static_cast<std::size_t>(ints)); };
    Places at{};
    at.counts = aligned(sizeof(Selection));
    at.totals = at.counts + bytes(chunks_ * kSelectDigits);
    at.before = at.totals + bytes(kSelectDigits);
    at.partial = at.before + bytes(chunks_);
    at.end = at.partial + bytes(fold_partials(kSelectDigits, chunks_));
    return at;
  }
  const double* density_;
  std::int64_t n_, chunk_entries_, chunks_;
};

}  // namespace

void define_score_mask() {
  define_op({
      .name = "score_mask",
      .infer = [](std::span<const ValueInfo> in, const Attrs& attrs) -> std::vector<ValueInfo> {
        same_as_inputs(in, 2);
        require(in[0].dtype == DType::F32, "weight and scores must be f32");
        const double density = attrs.real("density");
        require(density > 0 && density <= 1, fmt::format("density must be in (0, 1], not {}", density));
        return {{in[0].shape, DType::F32}, {in[0].shape, DType::U8}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            if (r.wants(0)) {
              r.add(0, r.graph().emit1("apply_mask", {r.out_grad(0), node.out[1]}, {}, node.name + "/grad"));
            }
            if (r.wants(1)) {
              r.add(1, r.graph().emit1("score_mask_backward_scores", {r.out_grad(0), node.in[0], node.in[1]}, {},
                                       node.name + "/scores"));
            }
          },
      .keeps_zeros_of = 0,
      .most_nonzero =
          [](const ValueInfo& out, const Attrs& attrs) {
            const std::int64_t n = out.shape.numel();
            return n - dropped_of(n, attrs.real("density"));
          },
      .kernel = {.cpu = [](const KernelSpec& spec) { return std::make_unique<ScoreMask>(spec); },
                 .cuda = [](const KernelSpec& spec) { return std::make_unique<ScoreMaskOfFunctors>(spec); }},
      .examples = {{.label = "conv",
                    .in = {{{5, 3, 3, 3}}, {{5, 3, 3, 3}}},
                    .attrs = {{"density", 0.3}},
                    .gradient = OpExample::Gradient::Surrogate,
                    .bf16 = false}},
  });
  define_score_mask_backward_scores();
  define_apply_mask();
}

}  // namespace winnow::ops
