// sgd_step, adam_step, adamw_step, adam_mini_step: one update of one parameter.
//   in   weight, grad, one or two slots of its shape (of Adam-mini the second has one entry a row), keep mask or none,
//        train mask or none, scale {1} or none, factor of the learning rate {1} or none; of Adam-mini a mask may follow of
//        the entries that have a gradient, where it is not the train mask
//   out  weight, slots
// A mask or scale whose memory is null while the program runs counts as absent. The learning rate and the
// number of the update are read from the run state. Attributes: lr and weight_decay of this parameter
// (a multiplier and a decay), and those of the rule. Bound outputs may be the inputs' memory.
//   clip_scale, norm_scale: in grad, keep mask or none, train mask or none of each parameter; out the factor {1}
// that brings the norm of all live gradients down to attribute `most`, or makes it attribute `norm`.
//   ascend: in weight, grad, keep mask or none, train mask or none, scale {1}; out weight + scale * grad where it is live.
#include "core/ops/dispatch.h"
#include "core/slot_shapes.h"
#include "kernels/fold_rows.h"
#include "kernels/optimizer.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

bool present(const ValueInfo& info) { return info.shape.rank() > 0; }

void require_mask(const ValueInfo& mask, const Shape& shape) {
  require(!present(mask) || (mask.shape == shape && mask.dtype == DType::U8), "masks must be u8 of the weight's shape");
}

// `last`: the shape of the last slot.
std::vector<ValueInfo> infer_step(Infos in, std::size_t slots, SlotShape last = slot_per_entry) {
  require(in.size() == slots + 6,
          fmt::format("takes weight, grad, {} slots, two masks, a scale and a factor or none", slots));
  for (std::size_t i = 0; i < slots + 2; ++i) {
    const Shape& shape = in[0].shape;
    require(in[i].shape == (i == slots + 1 ? last(shape) : shape) && in[i].dtype == DType::F32 && present(in[i]),
            "weight, gradient and slots must be f32 of one shape, a slot of rows one a row");
  }
  for (std::size_t i = slots + 2; i < slots + 4; ++i) require_mask(in[i], in[0].shape);
  for (std::size_t i = slots + 4; i < slots + 6; ++i) {
    require(!present(in[i]) || (in[i].shape == Shape{1} && in[i].dtype == DType::F32), "factors must be f32 {1}");
  }
  std::vector<ValueInfo> out{in[0]};
  out.insert(out.end(), in.begin() + 2, in.begin() + 2 + static_cast<std::ptrdiff_t>(slots));
  return out;
}

// What all steps are told by their node.
struct StepAttrs {
  const double *lr, *weight_decay;
  explicit StepAttrs(const KernelSpec& spec) : lr(spec.real("lr")), weight_decay(spec.real("weight_decay")) {}
};

UpdateOf update_of(const StepAttrs& attrs, const KernelCall& call, std::size_t slots) {
  return {.grad = call.in[1].as<float>(),
          .weight = call.in[0].as<float>(),
          .new_weight = call.out[0].as<float>(),
          .keep = call.in[slots + 2].as<std::uint8_t>(),
          .train = call.in[slots + 3].as<std::uint8_t>(),
          .grad_scale = call.in[slots + 4].as<float>(),
          .run = call.exec.run,
          .lr = attrs.lr,
          .weight_decay = attrs.weight_decay,
          .rate_factor = call.in[slots + 5].as<float>()};
}

// The kernel of a rule: step(call) is the functor of a node, and what of a rule is no such functor comes before(call).
template <class Rule>
class StepKernel final : public Kernel {
 public:
  explicit StepKernel(const KernelSpec& spec) : rule_(spec) {}
  std::size_t scratch_bytes() const override { return rule_.scratch_bytes(); }
  void run(const KernelCall& call) override {
    rule_.before(call);
    for_each_weight(call.exec, call.out[0].numel(), rule_.step(call));
  }
  bool runs_together() const override { return true; }
  void run_together(std::span<const NodeCall> nodes) override {
    std::vector<Loop<decltype(rule_.step(nodes[0].call))>> steps;
    for (const auto& [kernel, call] : nodes) {
      const Rule& rule = static_cast<StepKernel&>(kernel).rule_;
      rule.before(call);
      steps.push_back({call.out[0].numel(), rule.step(call)});
    }
    for_each_weight(nodes[0].call.exec, std::span<const typename decltype(steps)::value_type>(steps));
  }

 private:
  Rule rule_;
};

template <class Rule>
std::unique_ptr<Kernel> make_step(const KernelSpec& spec) {
  return std::make_unique<StepKernel<Rule>>(spec);
}

struct NothingBefore {
  static std::size_t scratch_bytes() { return 0; }
  static void before(const KernelCall&) {}
};

class SgdRule : public NothingBefore {
 public:
  explicit SgdRule(const KernelSpec& spec)
      : attrs_(spec), momentum_(spec.real("momentum")), nesterov_(spec.node.attrs.integer("nesterov", 0) != 0) {}
  SgdStep step(const KernelCall& call) const {
    return {update_of(attrs_, call, 1), call.in[2].as<float>(), call.out[1].as<float>(), momentum_, nesterov_};
  }

 private:
  StepAttrs attrs_;
  const double* momentum_;
  bool nesterov_;
};

struct AdamAttrs : StepAttrs {
  const double *beta1, *beta2, *eps;
  explicit AdamAttrs(const KernelSpec& spec)
      : StepAttrs(spec), beta1(spec.real("beta1")), beta2(spec.real("beta2")), eps(spec.real("eps")) {}

  template <class Squares>
  AdamStep<Squares> step(const KernelCall& call, const Squares& squares, bool decoupled) const {
    return {update_of(*this, call, 2),
            call.in[2].as<float>(),
            call.out[1].as<float>(),
            squares,
            beta1,
            beta2,
            eps,
            decoupled};
  }
};

template <bool decoupled>
class AdamRule : public NothingBefore {
 public:
  explicit AdamRule(const KernelSpec& spec) : attrs_(spec) {}
  AdamStep<EntrySquares> step(const KernelCall& call) const {
    return attrs_.step(call, EntrySquares{call.in[3].as<float>(), call.out[2].as<float>()}, decoupled);
  }

 private:
  AdamAttrs attrs_;
};

class AdamMiniRule {
 public:
  explicit AdamMiniRule(const KernelSpec& spec)
      : attrs_(spec),
        rows_(spec.in[3].shape.numel()),
        cols_(spec.in[0].shape.numel() / std::max<std::int64_t>(rows_, 1)) {}
  std::size_t scratch_bytes() const {
    return static_cast<std::size_t>(fold_partials(rows_, cols_)) * sizeof(SquareAndCount);
  }
  // The second moments.
  void before(const KernelCall& call) const {
    const UpdateOf update = update_of(attrs_, call, 2);
    const std::uint8_t* live = call.in.size() > 8 ? call.in[8].as<std::uint8_t>() : update.train;
    fold_rows(call.exec, rows_, cols_, SquareAndCount{},
              LoadRowSquare{update.grad, update.keep, live, update.grad_scale, cols_}, Sum{},
              StoreRowSquare{call.in[3].as<float>(), call.out[2].as<float>(), call.exec.run, attrs_.beta2},
              reinterpret_cast<SquareAndCount*>(call.exec.scratch));
  }
  AdamStep<RowSquares> step(const KernelCall& call) const {
    return attrs_.step(call, RowSquares{call.out[2].as<float>(), cols_}, true);
  }

 private:
  AdamAttrs attrs_;
  std::int64_t rows_, cols_;
};

OpExample example(std::string label, std::size_t slots, Attrs attrs, const Shape& shape = {7, 5}) {
  OpExample e{.label = std::move(label), .in = std::vector<ValueInfo>(slots + 2, {shape})};
  for (int mask = 0; mask < 2; ++mask) e.in.push_back({shape, DType::U8});
  for (int factor = 0; factor < 2; ++factor) e.in.push_back({Shape{1}});
  e.attrs = std::move(attrs);
  e.gradient = OpExample::Gradient::None;
  e.low = 0.1;  // second moments are not negative
  e.bf16 = false;
  return e;
}

// Scale: ClipScale or NormScale, with this attribute.
template <class Scale>
class GradientScale final : public Kernel {
 public:
  GradientScale(const KernelSpec& spec, const char* attribute)
      : norm_(spec.real(attribute)), count_(spec.in.size() / 3) {
    for (const ValueInfo& info : spec.in) partials_ = std::max(partials_, fold_partials(1, info.shape.numel()));
  }
  std::size_t scratch_bytes() const override { return (count_ + static_cast<std::size_t>(partials_)) * sizeof(double); }
  void run(const KernelCall& call) override {
    auto* squares = reinterpret_cast<double*>(call.exec.scratch);
    for (std::size_t i = 0; i < count_; ++i) {
      const TensorView& grad = call.in[3 * i];
      fold_rows(
          call.exec, 1, grad.numel(), 0.0,
          LoadSquare{grad.as<float>(), call.in[3 * i + 1].as<std::uint8_t>(), call.in[3 * i + 2].as<std::uint8_t>()},
          Sum{}, StoreRow<double>{squares + i}, squares + count_);
    }
    for_each(call.exec, 1, Scale{squares, static_cast<std::int64_t>(count_), norm_, call.out[0].as<float>()});
  }

 private:
  const double* norm_;
  std::size_t count_;
  std::int64_t partials_ = 0;
};

std::vector<ValueInfo> infer_scale(Infos in, double norm) {
  require(!in.empty() && in.size() % 3 == 0, "takes a gradient and two masks or none for each parameter");
  for (std::size_t i = 0; i < in.size(); i += 3) {
    require(present(in[i]) && in[i].dtype == DType::F32, "gradients must be f32");
    for (const std::size_t mask : {i + 1, i + 2}) require_mask(in[mask], in[i].shape);
  }
  require(norm > 0, "the norm must be positive");
  return {{Shape{1}, DType::F32}};
}

std::vector<ValueInfo> infer_ascend(Infos in, const Attrs&) {
  require(in.size() == 5, "takes weight, grad, two masks or none and a scale");
  require(in[0].shape == in[1].shape && in[0].dtype == DType::F32 && in[1].dtype == DType::F32,
          "weight and gradient must be f32 of one shape");
  for (const std::size_t mask : {2, 3}) require_mask(in[mask], in[0].shape);
  require(in[4].shape == Shape{1} && in[4].dtype == DType::F32, "the scale must be f32 {1}");
  return {{in[0].shape, DType::F32}};
}

class AscendKernel final : public Kernel {
 public:
  void run(const KernelCall& call) override {
    const Loop<Ascend> loop = loop_of(call);
    for_each(call.exec, std::span(&loop, 1));
  }
  bool runs_together() const override { return true; }
  void run_together(std::span<const NodeCall> nodes) override {
    std::vector<Loop<Ascend>> loops;
    for (const NodeCall& node : nodes) loops.push_back(loop_of(node.call));
    for_each(nodes[0].call.exec, std::span<const Loop<Ascend>>(loops));
  }

 private:
  static Loop<Ascend> loop_of(const KernelCall& call) {
    return {call.out[0].numel(),
            {call.in[0].as<float>(), call.in[1].as<float>(), call.in[2].as<std::uint8_t>(),
             call.in[3].as<std::uint8_t>(), call.in[4].as<float>(), call.out[0].as<float>()}};
  }
};

}  // namespace

void define_optimizer_steps() {
  const Attrs defaults{{"lr", 1.0}, {"weight_decay", 0.0}};
  define_op({.name = "sgd_step",
             .infer = [](Infos in, const Attrs&) { return infer_step(in, 1); },
             .defaults = defaults,
             .kernel = {.any = make_step<SgdRule>},
             .examples = {
                 example("momentum", 1, {{"momentum", 0.9}, {"weight_decay", 0.1}}),
                 example("nesterov", 1, {{"momentum", 0.9}, {"nesterov", std::int64_t{1}}, {"weight_decay", 0.1}})}});
  const Attrs adam{{"beta1", 0.9}, {"beta2", 0.999}, {"eps", 1e-8}, {"weight_decay", 0.1}};
  define_op({.name = "adam_step",
             .infer = [](Infos in, const Attrs&) { return infer_step(in, 2); },
             .defaults = defaults,
             .kernel = {.any = make_step<AdamRule<false>>},
             .examples = {example("decay in the gradient", 2, adam)}});
  define_op({.name = "adamw_step",
             .infer = [](Infos in, const Attrs&) { return infer_step(in, 2); },
             .defaults = defaults,
             .kernel = {.any = make_step<AdamRule<true>>},
             .examples = {example("decay apart", 2, adam)}});
  OpExample mini = example("a second moment a row", 2, adam), long_row = example("a long vector", 2, adam, {9000});
  mini.in[3].shape = slot_per_row(mini.in[0].shape);
  long_row.in[3].shape = slot_per_row(long_row.in[0].shape);
  OpExample live = mini;
  live.label = "weights that move without a gradient";
  live.in.push_back({mini.in[0].shape, DType::U8});
  define_op({.name = "adam_mini_step",
             .infer =
                 [](Infos in, const Attrs&) {
                   if (in.size() == 9) require_mask(in[8], in[0].shape);
                   return infer_step(in.size() == 9 ? in.first(8) : in, 2, slot_per_row);
                 },
             .defaults = defaults,
             .kernel = {.any = make_step<AdamMiniRule>},
             .examples = {mini, long_row, live}});
  OpExample two{.label = "two parameters, masks",
                .in = {{Shape{4, 5}}, {Shape{4, 5}, DType::U8}, {Shape{4, 5}, DType::U8}}};
  for (const ValueInfo& info : std::vector(two.in)) two.in.push_back({Shape{4097}, info.dtype});
  two.attrs = {{"most", 0.5}};
  two.gradient = OpExample::Gradient::None;
  two.bf16 = false;
  define_op(
      {.name = "clip_scale",
       .infer = [](Infos in, const Attrs& attrs) { return infer_scale(in, attrs.real("most")); },
       .kernel = {.any =
                      [](const KernelSpec& spec) { return std::make_unique<GradientScale<ClipScale>>(spec, "most"); }},
       .examples = {two}});
  two.attrs = {{"norm", 0.05}};
  define_op(
      {.name = "norm_scale",
       .infer = [](Infos in, const Attrs& attrs) { return infer_scale(in, attrs.real("norm")); },
       .kernel = {.any =
                      [](const KernelSpec& spec) { return std::make_unique<GradientScale<NormScale>>(spec, "norm"); }},
       .examples = {two}});
  OpExample up{.label = "masks",
               .in = {{Shape{7, 5}}, {Shape{7, 5}}, {Shape{7, 5}, DType::U8}, {Shape{7, 5}, DType::U8}, {Shape{1}}}};
  up.gradient = OpExample::Gradient::None;
  up.bf16 = false;
  define_op({.name = "ascend",
             .infer = infer_ascend,
             .kernel = {.any = [](const KernelSpec&) { return std::make_unique<AscendKernel>(); }},
             .examples = {up}});
}

}  // namespace winnow::ops
