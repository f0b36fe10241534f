// group_norms: the L2 norm of each of `groups` groups, which may run through several tensors: entry i of input j belongs to
// group (i / inner[j]) mod groups. The gradient of a group that is zero is 0.
// group_shrink: the proximal step of such a norm in an update. In: weight, norms, train mask or none, factor of the learning
// rate {1} or none; every group becomes shorter by that rate times attribute `scale`, or zero. It has no reverse.
#include "kernels/functors/group_norms.h"

#include "core/ops/dispatch.h"
#include "kernels/fold_rows.h"
#include "kernels/for_each.h"

namespace winnow::ops {
namespace {

using Infos = std::span<const ValueInfo>;

void require_groups(const ValueInfo& x, std::int64_t groups, std::int64_t inner) {
  require(x.dtype == DType::F32 && x.shape.rank() > 0, "weights must be f32");
  require(groups >= 1 && inner >= 1 && x.shape.numel() % (groups * inner) == 0,
          fmt::format("{} entries do not fall into {} groups of runs of {}", x.shape.numel(), groups, inner));
}

void require_norms(const ValueInfo& norms, std::int64_t groups) {
  require(norms.dtype == DType::F32 && norms.shape == Shape{groups}, "the norms must be f32, one a group");
}

Grouping grouping_of(const Attrs& attrs) { return {attrs.integer("groups"), attrs.integer("inner")}; }

class GroupNorms final : public Kernel {
 public:
  explicit GroupNorms(const KernelSpec& spec)
      : groups_(spec.node.attrs.integer("groups")), inner_(spec.node.attrs.list("inner")) {
    for (const ValueInfo& x : spec.in)
      partials_ = std::max(partials_, fold_partials(groups_, x.shape.numel() / groups_));
  }
  std::size_t scratch_bytes() const override { return static_cast<std::size_t>(partials_) * sizeof(float); }
  void run(const KernelCall& call) override {
    auto* norms = call.out[0].as<float>();
    for (std::size_t j = 0; j < call.in.size(); ++j) {
      fold_rows(call.exec, groups_, call.in[j].numel() / groups_, 0.0f,
                LoadGroupSquare{call.in[j].as<float>(), {groups_, inner_[j]}}, Sum{},
                StoreGroupNorm{norms, j == 0, j + 1 == call.in.size()}, reinterpret_cast<float*>(call.exec.scratch));
    }
  }

 private:
  std::int64_t groups_, partials_ = 0;
  std::vector<std::int64_t> inner_;
};

// x, norms, dnorms -> dx.
void define_group_norms_backward() {
  define_op({
      .name = "group_norms_backward",
      .infer = [](Infos in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.size() == 3, "takes x, norms and dnorms");
        require_groups(in[0], attrs.integer("groups"), attrs.integer("inner"));
        for (const std::size_t i : {1, 2}) require_norms(in[i], attrs.integer("groups"));
        return {{in[0].shape, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(),
                            GroupNormGradient{call.in[0].as<float>(), call.in[1].as<float>(), call.in[2].as<float>(),
                                              call.out[0].as<float>(), grouping_of(spec.node.attrs)});
                 })},
  });
}

void define_group_shrink() {
  define_op({
      .name = "group_shrink",
      .infer = [](Infos in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.size() == 4, "takes a weight, norms, a train mask or none and a factor of the rate or none");
        require_groups(in[0], attrs.integer("groups"), attrs.integer("inner"));
        require_norms(in[1], attrs.integer("groups"));
        const auto absent = [](const ValueInfo& info) { return info.shape.rank() == 0; };
        require(absent(in[2]) || (in[2].shape == in[0].shape && in[2].dtype == DType::U8),
                "the mask must be u8 of the weight's shape");
        require(absent(in[3]) || (in[3].shape == Shape{1} && in[3].dtype == DType::F32), "the factor must be f32 {1}");
        require(attrs.real("scale") >= 0, "the scale must not be negative");
        return {{in[0].shape, DType::F32}};
      },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   for_each(call.exec, call.out[0].numel(),
                            GroupShrink{call.in[0].as<float>(), call.in[1].as<float>(), call.in[2].as<std::uint8_t>(),
                                        call.in[3].as<float>(), call.out[0].as<float>(), grouping_of(spec.node.attrs),
                                        spec.real("scale"), call.exec.run});
                 })},
      .inplace = 0,
      .examples = {{.label = "columns",
                    .in = {{{6, 5}}, {{5}}, {{6, 5}, DType::U8}, {{1}}},
                    .attrs = {{"groups", std::int64_t{5}}, {"inner", std::int64_t{1}}, {"scale", 8.0}},
                    .gradient = OpExample::Gradient::None,
                    .low = 0.1,
                    .bf16 = false}},
  });
}

OpExample example(std::string label, std::vector<ValueInfo> in, std::int64_t groups, std::vector<std::int64_t> inner) {
  return {.label = std::move(label),
          .in = std::move(in),
          .attrs = {{"groups", groups}, {"inner", std::move(inner)}},
          .bf16 = false};
}

}  // namespace

void define_group_norms() {
  define_op({
      .name = "group_norms",
      .infer = [](Infos in, const Attrs& attrs) -> std::vector<ValueInfo> {
        const std::vector<std::int64_t>& inner = attrs.list("inner");
        require(!in.empty() && in.size() == inner.size(), fmt::format("takes {} tensors", inner.size()));
        for (std::size_t j = 0; j < in.size(); ++j) require_groups(in[j], attrs.integer("groups"), inner[j]);
        return {{Shape{attrs.integer("groups")}, DType::F32}};
      },
      .reverse =
          [](Reverse& r) {
            const Node& node = r.node();
            const std::vector<std::int64_t>& inner = node.attrs.list("inner");
            for (std::size_t j = 0; j < node.in.size(); ++j) {
              if (!r.wants(j)) continue;
              r.add(j, r.graph().emit1("group_norms_backward", {node.in[j], node.out[0], r.out_grad(0)},
                                       {{"groups", node.attrs.integer("groups")}, {"inner", inner[j]}},
                                       node.name + "/grad"));
            }
          },
      .kernel = {.any = [](const KernelSpec& spec) { return std::make_unique<GroupNorms>(spec); }},
      .examples = {example("filters", {{{4, 3, 2, 2}}}, 4, {12}), example("channels", {{{4, 3, 2, 2}}}, 3, {4}),
                   example("shapes", {{{4, 3, 2, 2}}}, 12, {1}),
                   example("one group of two tensors, many chunks", {{{90, 60}}, {{5, 3}}}, 1, {5400, 15})},
  });
  define_group_norms_backward();
  define_group_shrink();
}

}  // namespace winnow::ops
