// dropout of elements; the reverse applies the same mask, drawn again, to the gradient.
#include "kernels/functors/dropout.h"
#include "core/ops/dispatch.h"
#include "kernels/cpu/for_each.h"

namespace winnow::ops {
namespace {

// Whole blocks of four go together; what is left at both ends goes element by element.
template <class T>
void drop(int threads, std::int64_t n, const Dropout<T>& body) {
  const std::int64_t head = std::min(n, (4 - body.first % 4) % 4), blocks = (n - head) / 4;
  for_range(0, head, body);
  Dropout<T> inner = body;
  inner.x += head;
  inner.y += head;
  inner.first += head;
  for_each(threads, blocks, DropoutBlocks<T>{inner}, 1024);
  for_range(head + 4 * blocks, n, body);
}

}  // namespace

void define_dropout() {
  define_op({
      .name = "dropout",
      .infer =
          [](std::span<const ValueInfo> in, const Attrs& attrs) {
            const double p = attrs.real("p");
            require(p >= 0 && p < 1, fmt::format("p must be in [0, 1), not {}", p));
            require(in.size() == 1 && in[0].shape.rank() >= 1, "takes one input with rows");
            return same_as_inputs(in, 1);
          },
      .reverse =
          [](Reverse& r) {
            // The node's name keys the mask, so the reverse node has the same name.
            r.add(0, r.graph().emit1("dropout", {r.out_grad(0)}, r.node().attrs, r.node().name));
          },
      .cpu = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
        const TensorView &x = call.in[0], &y = call.out[0];
        const auto p = static_cast<float>(spec.node.attrs.real("p"));
        const RngKey key{call.run.seed, stream_id(spec.node.name), call.run.step};
        const std::int64_t row = x.numel() / std::max<std::int64_t>(1, x.shape[0]);
        with_float_type(x.dtype, [&]<class T>() {
          drop(call.run.threads, x.numel(),
               Dropout<T>{x.as<T>(), y.as<T>(), call.run.first_row * row, key, p, 1.0f / (1.0f - p)});
        });
      }),
      .inplace = 0,
      .train_only = true,
      .examples = {{.label = "half", .in = {{{6, 7}}}, .attrs = {{"p", 0.5}}},
                   {.label = "image", .in = {{{2, 3, 3, 4}}}, .attrs = {{"p", 0.2}}}},
  });
}

}  // namespace winnow::ops
