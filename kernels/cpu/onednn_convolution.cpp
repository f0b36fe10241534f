// Which primitives a convolution and its gradients become, and where oneDNN's own choice is not the fastest.
#include <string_view>

#include "kernels/cpu/onednn_impl.h"

namespace winnow::cpu {
namespace {

// A convolution in oneDNN's terms, and its three primitives.
struct ConvTerms {
  explicit ConvTerms(const ConvShape& s)
      : x{{s.batch, s.in, s.height, s.width}, type_of(s.dtype), memory::format_tag::nhwc},
        y{{s.batch, s.out, s.out_height(), s.out_width()}, type_of(s.dtype), memory::format_tag::nhwc},
        extents(s.groups > 1 ? Dims{s.groups, s.out / s.groups, s.in / s.groups, s.kernel_h, s.kernel_w}
                             : Dims{s.out, s.in, s.kernel_h, s.kernel_w}),
        weights{extents, type_of(s.dtype), memory::format_tag::any},
        weight_grad{extents, memory::data_type::f32, memory::format_tag::any},
        stride{s.stride, s.stride},
        pad{s.pad, s.pad},
        end{(s.out_height() - 1) * s.stride + s.kernel_h - s.height - s.pad,
            (s.out_width() - 1) * s.stride + s.kernel_w - s.width - s.pad} {
    if (s.bias) bias = {{s.out}, memory::data_type::f32, memory::format_tag::a};
  }
  template <class Choose>
  dnnl::convolution_forward::primitive_desc forward(const Choose& choose) const {
    return describe_chosen<dnnl::convolution_forward>(choose, dnnl::prop_kind::forward_training, kDirect, x, weights,
                                                      bias, y, stride, dilate, pad, end);
  }
  dnnl::convolution_forward::primitive_desc forward() const {
    return forward([](const auto&) {});
  }
  dnnl::convolution_backward_data::primitive_desc backward_data() const {
    return describe_backward<dnnl::convolution_backward_data>(forward(), kDirect, x, weights, y, stride, dilate, pad,
                                                              end);
  }
  dnnl::convolution_backward_weights::primitive_desc backward_weights() const {
    return describe_backward<dnnl::convolution_backward_weights>(forward(), kDirect, x, weight_grad, bias, y, stride,
                                                                 dilate, pad, end);
  }

  static constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  memory::desc x, y;
  Dims extents;
  memory::desc weights, weight_grad, bias;
  Dims stride, dilate{0, 0}, pad;
  Dims end;  // the padding that the last window needs, which may be less than `pad`
};

// For tiny images and few channels the direct convolution beats the one built from small matrix
// products, which oneDNN prefers: measured 10 against 19 ms (2x2 pixels, 512 channels), 0.7 against
// 0.9 (1 to 20 channels). With AMX the products are the right choice.
dnnl::convolution_forward::primitive_desc best_forward(const ConvShape& s, const ConvTerms& terms) {
  const auto named = [](const auto& chosen, const char* part) {
    return std::string_view(chosen.impl_info_str()).find(part) != std::string_view::npos;
  };
  bool found = true;
  const auto direct = terms.forward([&](auto& chosen) {
    const bool few_channels = s.in < (s.dtype == DType::BF16 ? 16 : 3);
    if ((s.out_width() > 4 && !few_channels) || !named(chosen, "brg") || named(chosen, "amx")) return;
    found = chosen.next_impl() && named(chosen, "jit") && named(chosen, "avx512");
  });
  return found ? direct : terms.forward();
}

// With stride 1 the gradient of the input is a convolution of dy with the weights turned by half a
// turn, and the other way round, so each can do the other's work. In f32 oneDNN's forward kernels
// are the faster ones with many channels (38 against 47 ms for 8x8 pixels and 256 channels) and the
// slower ones with 16 (3.7 against 2.8 ms for 32x32 pixels).
bool can_turn(const ConvShape& s) {
  return s.dtype == DType::F32 && s.stride == 1 && s.groups == 1 && s.kernel_h > 1 && s.kernel_h == s.kernel_w &&
         s.pad < s.kernel_h;
}
bool backward_as_forward(const ConvShape& s) { return can_turn(s) && s.in >= 64 && s.out >= 64; }
bool forward_as_backward(const ConvShape& s) { return can_turn(s) && s.in == 16 && s.out == 16 && !s.bias; }

}  // namespace

std::unique_ptr<PlannedLayer> onednn_layer(const ConvShape& s, Direction direction, int threads) {
  const ThreadScope scope(threads);
  auto layer = std::make_unique<OneDnnLayer>(threads);
  const ConvTerms terms(s);
  const memory::desc weights{terms.extents, memory::data_type::f32,
                             s.groups > 1 ? memory::format_tag::goihw : memory::format_tag::oihw};
  const OneDnnLayer::Layouts user{terms.x, weights, terms.bias, terms.y};
  const bool turn = direction == Direction::Forward        ? forward_as_backward(s)
                    : direction == Direction::BackwardData ? backward_as_forward(s)
                                                           : false;
  if (turn) {
    const ConvShape around = s.turned();
    const ConvTerms back(around);
    const memory::desc planes{back.extents, memory::data_type::f32,
                              Dims{1, s.in, s.kernel_w * s.out * s.in, s.out * s.in}};
    const OneDnnLayer::Layouts layouts{back.x, planes, {}, back.y};
    layer->turn(s);
    if (direction == Direction::BackwardData) {
      layer->forward<dnnl::convolution_forward>(layouts, best_forward(around, back));
    } else {
      layer->backward_data<dnnl::convolution_backward_data>(layouts, back.backward_data());
    }
  } else if (direction == Direction::Forward) {
    layer->forward<dnnl::convolution_forward>(user, best_forward(s, terms));
  } else if (direction == Direction::BackwardData) {
    layer->backward_data<dnnl::convolution_backward_data>(user, terms.backward_data());
  } else {
    layer->backward_weights<dnnl::convolution_backward_weights>(user, terms.backward_weights());
  }
  return layer;
}

}  // namespace winnow::cpu
