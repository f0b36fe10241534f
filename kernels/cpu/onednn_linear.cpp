// The primitives of a linear layer and its gradients.
#include "kernels/cpu/onednn_impl.h"

namespace winnow::cpu {

std::unique_ptr<PlannedLayer> onednn_layer(const LinearShape& s, Direction direction, int threads) {
  const ThreadScope scope(threads);
  auto layer = std::make_unique<OneDnnLayer>(threads);
  const auto type = type_of(s.dtype), f32 = memory::data_type::f32;
  using Tag = memory::format_tag;
  const OneDnnLayer::Layouts user{
      {{s.rows, s.in}, type, Tag::ab},
      {{s.out, s.in}, f32, Tag::ab},
      s.bias && direction != Direction::BackwardData ? memory::desc{{s.out}, f32, Tag::a} : memory::desc{},
      {{s.rows, s.out}, type, Tag::ab}};
  const memory::desc weights{{s.out, s.in}, type, Tag::any};
  const memory::desc weight_grad{{s.out, s.in}, f32, Tag::any};
  const auto forward =
      describe<dnnl::inner_product_forward>(dnnl::prop_kind::forward_training, user.x, weights, user.bias, user.y);
  if (direction == Direction::Forward) {
    layer->forward<dnnl::inner_product_forward>(user, forward);
  } else if (direction == Direction::BackwardData) {
    using Primitive = dnnl::inner_product_backward_data;
    layer->backward_data<Primitive>(user, describe_backward<Primitive>(forward, user.x, weights, user.y));
  } else {
    using Primitive = dnnl::inner_product_backward_weights;
    layer->backward_weights<Primitive>(user,
                                       describe_backward<Primitive>(forward, user.x, weight_grad, user.bias, user.y));
  }
  return layer;
}

}  // namespace winnow::cpu
