#include "core/ops/batch_norm_functors.h"

#include <algorithm>

#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"
#include "kernels/functors/batch_norm.h"
#include "kernels/layer.h"

namespace winnow::ops {
namespace {

// Sums: so long that there are about 65536 threads, within limits that keep few rows from being many chunks and float sums
// short. Where rows are applied: long enough that the channel's numbers are worth loading.
RowChunks chunks_to_sum(std::int64_t rows, std::int64_t channels) {
  return {rows, channels, std::clamp<std::int64_t>(rows * channels / 65536, 16, 256)};
}
RowChunks chunks_to_apply(std::int64_t rows, std::int64_t channels) { return {rows, channels, 8}; }

std::int64_t threads_of(const RowChunks& rows) { return rows.chunks() * rows.channels; }

// In scratch: the chunks' sums, what the fold over chunks needs, and two numbers a channel.
class SumsScratch {
 public:
  explicit SumsScratch(const RowChunks& rows)
      : sums_(aligned(sizeof(PairOf<float>) * static_cast<std::size_t>(threads_of(rows)))),
        partial_(
            aligned(sizeof(PairOf<double>) * static_cast<std::size_t>(fold_partials(rows.channels, rows.chunks())))),
        bend_(aligned(sizeof(PairOf<float>) * static_cast<std::size_t>(rows.channels))) {}
  std::size_t bytes() const { return sums_ + partial_ + bend_; }
  PairOf<float>* sums(std::byte* memory) const { return reinterpret_cast<PairOf<float>*>(memory); }
  PairOf<double>* partial(std::byte* memory) const { return reinterpret_cast<PairOf<double>*>(memory + sums_); }
  PairOf<float>* bend(std::byte* memory) const { return reinterpret_cast<PairOf<float>*>(memory + sums_ + partial_); }

 private:
  std::size_t sums_, partial_, bend_;
};

// What both directions share: the extents, and sums by chunk that are folded to one pair a channel.
class BatchNormOfFunctors : public Kernel {
 public:
  BatchNormOfFunctors(const Shape& x, const Attrs& attrs)
      : rows_(x.numel() / x[-1]),
        sum_(chunks_to_sum(rows_, x[-1])),
        apply_(chunks_to_apply(rows_, x[-1])),
        scratch_(sum_),
        running_(attrs.integer("running", 0) != 0),
        relu_(attrs.integer("relu", 0) != 0) {}
  std::size_t scratch_bytes() const override { return scratch_.bytes(); }

 protected:
  template <class Sums, class Store>
  void fold(const Exec& exec, const Sums& sums, const Store& store) const {
    for_rows(exec, threads_of(sum_), sums, rows_worth(sum_.chunk_rows));
    fold_rows(exec, sum_.channels, sum_.chunks(), PairOf<double>{0, 0}, LoadChunkSums{sums.sums, sum_.channels},
              AddPairs{}, store, scratch_.partial(exec.scratch));
  }
  template <class Body>
  void apply(const Exec& exec, const Body& body) const {
    for_rows(exec, threads_of(apply_), body, rows_worth(apply_.chunk_rows));
  }

  std::int64_t rows_;
  RowChunks sum_, apply_;
  SumsScratch scratch_;
  bool running_, relu_;
};

class ForwardOfFunctors final : public BatchNormOfFunctors {
 public:
  explicit ForwardOfFunctors(const KernelSpec& spec)
      : BatchNormOfFunctors(spec.in[0].shape, spec.node.attrs),
        eps_(spec.real("eps")),
        momentum_(spec.real("momentum")) {}
  void run(const KernelCall& call) override {
    with_float_type(call.in[0].dtype, [&]<class T>() { run_as<T>(call); });
  }

 private:
  template <class T>
  void run_as(const KernelCall& call) const {
    const auto &in = call.in, &out = call.out;
    const Exec& exec = call.exec;
    const T* x = in[0].as<T>();
    auto *running_mean = in[3].as<float>(), *running_var = in[4].as<float>();
    auto *mean = out[1].as<float>(), *rstd = out[2].as<float>();
    if (running_) {
      for_each(exec, sum_.channels, UseRunningStatistics{running_mean, running_var, mean, rstd, eps_});
    } else {
      fold(exec, BatchNormSums<T>{sum_, x, scratch_.sums(exec.scratch)},
           StoreBatchStatistics<T>{x, rows_, eps_, momentum_, mean, rstd, running_mean, running_var, exec.run});
    }
    apply(exec, BatchNormApply<T>{apply_,
                                  {in[1].as<float>(), in[2].as<float>(), mean, rstd},
                                  x,
                                  in.size() == 6 ? in[5].as<T>() : nullptr,
                                  out[0].as<T>(),
                                  relu_});
  }
  const double *eps_, *momentum_;
};

class BackwardOfFunctors final : public BatchNormOfFunctors {
 public:
  explicit BackwardOfFunctors(const KernelSpec& spec)
      : BatchNormOfFunctors(spec.in[1].shape, spec.node.attrs),
        gate_(!relu_                         ? ReluGate::None
              : spec.in[2].shape.rank() == 0 ? ReluGate::FromX
                                             : ReluGate::FromY) {}
  void run(const KernelCall& call) override {
    with_float_type(call.in[1].dtype, [&]<class T>() { run_as<T>(call); });
  }

 private:
  template <class T>
  void run_as(const KernelCall& call) const {
    const auto &in = call.in, &out = call.out;
    const Exec& exec = call.exec;
    const BatchNormChannels channels{in[3].as<float>(), in[4].as<float>(), in[5].as<float>(), in[6].as<float>()};
    const GatedGradient<T> gradient{in[0].as<T>(), in[1].as<T>(), in[2].as<T>(), gate_};
    PairOf<float>* bend = scratch_.bend(exec.scratch);
    fold(exec, BatchNormGradientSums<T>{sum_, channels, gradient, scratch_.sums(exec.scratch)},
         StoreBatchNormGradients{channels, rows_, running_, out[1].as<float>(), out[2].as<float>(), bend});
    apply(exec, BatchNormBackwardApply<T>{apply_, channels, gradient, bend, out[0].as<T>(),
                                          out.size() == 4 ? out[3].as<T>() : nullptr});
  }
  ReluGate gate_;
};

}  // namespace

std::unique_ptr<Kernel> batch_norm_of_functors(const KernelSpec& spec) {
  return std::make_unique<ForwardOfFunctors>(spec);
}
std::unique_ptr<Kernel> batch_norm_backward_of_functors(const KernelSpec& spec) {
  return std::make_unique<BackwardOfFunctors>(spec);
}

}  // namespace winnow::ops
