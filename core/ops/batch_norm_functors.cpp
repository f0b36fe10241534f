#include "core/ops/batch_norm_functors.h"

#include <algorithm>

#include "core/ops/dispatch.h"
#include "kernels/fold_columns.h"
#include "kernels/for_each.h"
#include "kernels/functors/batch_norm.h"
#include "kernels/layer.h"

namespace winnow::ops {
namespace {

// What both directions share: a sum over rows, and a pass that applies it.
class BatchNormOfFunctors : public Kernel {
 public:
  BatchNormOfFunctors(const Shape& x, const Attrs& attrs)
      : fold_{x.numel() / x[-1], x[-1]},
        running_(attrs.integer("running", 0) != 0),
        relu_(attrs.integer("relu", 0) != 0) {}
  std::size_t scratch_bytes() const override {
    return bend_at() + sizeof(PairOf<float>) * static_cast<std::size_t>(fold_.channels);
  }

 protected:
  template <class Sums, class Store>
  void fold(const Exec& exec, const Sums& sums, const Store& store) const {
    fold_columns(exec, fold_, sums, store, reinterpret_cast<PairOf<float>*>(exec.scratch));
  }
  // Two numbers a channel, behind the sums.
  PairOf<float>* bend(const Exec& exec) const { return reinterpret_cast<PairOf<float>*>(exec.scratch + bend_at()); }

  // body.operator()<width>(steps) is the functor; `kMost` is the most channels that a thread takes at once. It takes up to eight
  // rows, so that the channels' numbers are worth loading, but fewer where that would leave less than some 65536 threads.
  template <int kMost, class Body>
  void apply(const Exec& exec, const Body& body) const {
    const auto with_width = [&]<int width>() {
      const std::int64_t vectors = fold_.channels / width;
      const std::int64_t each = std::clamp<std::int64_t>(fold_.rows * vectors / 65536, 1, 8);
      const RowSteps steps{fold_.rows, fold_.channels, (fold_.rows + each - 1) / each};
      for_rows(exec, steps.stride * vectors, body.template operator()<width>(steps), rows_worth(each * width));
    };
    if (fold_.channels % kMost == 0) return with_width.template operator()<kMost>();
    fold_.vector == 1 ? with_width.template operator()<1>() : with_width.template operator()<ColumnFold::kVector>();
  }

  ColumnFold fold_;
  bool running_, relu_;

 private:
  std::size_t bend_at() const { return aligned(sizeof(PairOf<float>) * fold_.partials()); }
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
    const T* residual = in.size() > 5 ? in[5].as<T>() : nullptr;
    const float* sums = in.size() > 6 ? in[6].as<float>() : nullptr;
    auto *running_mean = in[3].as<float>(), *running_var = in[4].as<float>();
    auto *mean = out[1].as<float>(), *rstd = out[2].as<float>();
    if (running_) {
      for_each(exec, fold_.channels, UseRunningStatistics{running_mean, running_var, mean, rstd, eps_});
    } else {
      const BatchStatistics of_batch{fold_.rows, eps_, momentum_, mean, rstd, running_mean, running_var, exec.run};
      if (sums != nullptr) {
        for_each(exec, fold_.channels, StatisticsFromSums{sums, fold_.channels, of_batch});
      } else {
        fold(exec, BatchNormSums<T>{x, fold_.channels}, StoreBatchStatistics<T>{x, of_batch});
      }
    }
    const BatchNormChannels channels{in[1].as<float>(), in[2].as<float>(), mean, rstd};
    apply<16 / sizeof(T)>(exec, [&]<int width>(const RowSteps& steps) {
      return BatchNormApply<T, width>{steps, channels, x, residual, out[0].as<T>(), relu_};
    });
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
    const T *x = in[1].as<T>(), *more = in.size() > 7 ? in[7].as<T>() : nullptr;
    const T* plus = in.size() > 8 ? in[8].as<T>() : nullptr;
    T* dresidual = out.size() == 4 ? out[3].as<T>() : nullptr;
    GatedGradient<T> gradient{in[0].as<T>(), more, x, in[2].as<T>(), gate_};
    fold(exec, BatchNormGradientSums<T>{channels, gradient, fold_.channels, dresidual},
         StoreBatchNormGradients{channels, fold_.rows, running_, out[1].as<float>(), out[2].as<float>(), bend(exec)});
    // The residual's gradient is summed and gated already.
    if (dresidual != nullptr) gradient = {dresidual, nullptr, x, nullptr, ReluGate::None};
    // Not eight channels in bf16: what a thread knows of each would take more registers than let four blocks live side by side.
    apply<ColumnFold::kVector>(exec, [&]<int width>(const RowSteps& steps) {
      return BatchNormBackwardApply<T, width>{steps, channels, gradient, bend(exec), plus, out[0].as<T>()};
    });
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
