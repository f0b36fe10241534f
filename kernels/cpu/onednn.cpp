#include "kernels/cpu/onednn.h"

#include <omp.h>

#include <array>
#include <dnnl.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cpu/layout.h"
#include "kernels/cpu/tap_gradient.h"

namespace winnow::cpu {
namespace {

using dnnl::memory;
using Dims = memory::dims;

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// oneDNN takes the calling thread's OpenMP setting, both when a primitive is made and when it runs.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    if (threads != before_) omp_set_num_threads(threads);
  }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// Version 3 dropped the operation descriptors of version 2. A backward primitive takes the forward
// one as a hint.
// `choose` may step to another of oneDNN's implementations, which in version 2 reads the descriptor
// once more.
template <class Primitive, class Choose, class... Args>
typename Primitive::primitive_desc describe_chosen(const Choose& choose, const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  typename Primitive::primitive_desc chosen(cpu_engine(), args..., attributes());
#else
  const typename Primitive::desc operation(args...);
  typename Primitive::primitive_desc chosen(operation, attributes(), cpu_engine());
#endif
  choose(chosen);
  return chosen;
}
template <class Primitive, class... Args>
typename Primitive::primitive_desc describe(const Args&... args) {
  return describe_chosen<Primitive>([](const auto&) {}, args...);
}
template <class Primitive, class Hint, class... Args>
typename Primitive::primitive_desc describe_backward(const Hint& hint, const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return {cpu_engine(), args..., hint, attributes()};
#else
  return {typename Primitive::desc(args...), attributes(), cpu_engine(), hint};
#endif
}

memory::data_type type_of(DType type) {
  return type == DType::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// One operand in the caller's layout and in the one the primitive wants, with the reorder between
// them.
struct Operand {
  int argument = 0;
  bool written = false, packed = false;
  std::size_t offset = 0;  // of the packed copy, in scratch
  memory user, inner;
  dnnl::reorder reorder;
};

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

struct LayerPlan::Impl {
  int threads = 1;
  dnnl::stream stream{cpu_engine()};
  dnnl::primitive primitive;
  std::array<Operand, 4> operands;  // x, weights, bias, y
  std::unordered_map<int, memory> arguments;
  memory scratchpad;
  std::size_t scratchpad_offset = 0, scratch = 0;
  std::string implementation;
  // Backward data run as a forward convolution: weights are turned first, into scratch, and x and y
  // change places.
  struct Turn {
    std::int64_t rows = 0, cols = 0, taps = 0;  // of the weights {out, in, kernel}
    std::size_t offset = 0;
  };
  std::optional<Turn> turned;
  std::optional<TapGradient> taps;  // in place of the primitive

  void turn(const ConvShape& s) {
    turned = {s.out, s.in, s.kernel_h * s.kernel_w, scratch};
    scratch +=
        aligned(sizeof(float) * static_cast<std::size_t>(s.out * s.in * s.kernel_h * s.kernel_w));
  }
  void operand(std::size_t at, int argument, bool written, const memory::desc& user,
               const memory::desc& inner) {
    Operand& o = operands[at];
    o.argument = argument;
    o.written = written;
    o.packed = user != inner;
    o.user = memory(user, cpu_engine(), nullptr);
    o.inner = o.packed ? memory(inner, cpu_engine(), nullptr) : o.user;
    if (o.packed) {
      const memory &from = written ? o.inner : o.user, &to = written ? o.user : o.inner;
      o.reorder = dnnl::reorder(dnnl::reorder::primitive_desc(cpu_engine(), from.get_desc(),
                                                              cpu_engine(), to.get_desc()));
      o.offset = scratch;
      scratch += aligned(inner.get_size());
    }
    arguments.emplace(argument, o.inner);
  }
  template <class Description>
  void finish(const Description& description) {
    const memory::desc pad = description.scratchpad_desc();
    scratchpad = memory(pad, cpu_engine(), nullptr);
    scratchpad_offset = scratch;
    scratch += aligned(pad.get_size());
    arguments.emplace(DNNL_ARG_SCRATCHPAD, scratchpad);
    implementation = description.impl_info_str();
  }

  // The caller's layouts; what the primitive chose comes from its description.
  struct Layouts {
    memory::desc x, weights, bias, y;
  };
  template <class Primitive>
  void forward(const Layouts& user, const typename Primitive::primitive_desc& chosen) {
    primitive = Primitive(chosen);
    operand(0, DNNL_ARG_SRC, false, user.x, chosen.src_desc());
    operand(1, DNNL_ARG_WEIGHTS, false, user.weights, chosen.weights_desc());
    if (user.bias.get_size() != 0) {
      operand(2, DNNL_ARG_BIAS, false, user.bias, chosen.bias_desc());
    }
    operand(3, DNNL_ARG_DST, true, user.y, chosen.dst_desc());
    finish(chosen);
  }
  template <class Primitive>
  void backward_data(const Layouts& user, const typename Primitive::primitive_desc& chosen) {
    primitive = Primitive(chosen);
    operand(0, DNNL_ARG_DIFF_SRC, true, user.x, chosen.diff_src_desc());
    operand(1, DNNL_ARG_WEIGHTS, false, user.weights, chosen.weights_desc());
    operand(3, DNNL_ARG_DIFF_DST, false, user.y, chosen.diff_dst_desc());
    finish(chosen);
  }
  template <class Primitive>
  void backward_weights(const Layouts& user, const typename Primitive::primitive_desc& chosen) {
    primitive = Primitive(chosen);
    operand(0, DNNL_ARG_SRC, false, user.x, chosen.src_desc());
    operand(1, DNNL_ARG_DIFF_WEIGHTS, true, user.weights, chosen.diff_weights_desc());
    if (user.bias.get_size() != 0) {
      operand(2, DNNL_ARG_DIFF_BIAS, true, user.bias, chosen.diff_bias_desc());
    }
    operand(3, DNNL_ARG_DIFF_DST, false, user.y, chosen.diff_dst_desc());
    finish(chosen);
  }
};

namespace {

// A convolution in oneDNN's terms, and its three primitives.
struct ConvTerms {
  explicit ConvTerms(const ConvShape& s)
      : x{{s.batch, s.in, s.height, s.width}, type_of(s.dtype), memory::format_tag::nhwc},
        y{{s.batch, s.out, s.out_height(), s.out_width()},
          type_of(s.dtype),
          memory::format_tag::nhwc},
        extents(s.groups > 1
                    ? Dims{s.groups, s.out / s.groups, s.in / s.groups, s.kernel_h, s.kernel_w}
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
    return describe_chosen<dnnl::convolution_forward>(choose, dnnl::prop_kind::forward_training,
                                                      kDirect, x, weights, bias, y, stride, dilate,
                                                      pad, end);
  }
  dnnl::convolution_forward::primitive_desc forward() const {
    return forward([](const auto&) {});
  }
  dnnl::convolution_backward_data::primitive_desc backward_data() const {
    return describe_backward<dnnl::convolution_backward_data>(forward(), kDirect, x, weights, y,
                                                              stride, dilate, pad, end);
  }
  dnnl::convolution_backward_weights::primitive_desc backward_weights() const {
    return describe_backward<dnnl::convolution_backward_weights>(forward(), kDirect, x, weight_grad,
                                                                 bias, y, stride, dilate, pad, end);
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
    if ((s.out_width() > 4 && !few_channels) || !named(chosen, "brg") || named(chosen, "amx"))
      return;
    found = chosen.next_impl() && named(chosen, "jit") && named(chosen, "avx512");
  });
  return found ? direct : terms.forward();
}

// With stride 1 the gradient of the input is a convolution of dy with the weights turned by half a
// turn, and the other way round, so each can do the other's work. In f32 oneDNN's forward kernels
// are the faster ones with many channels (38 against 47 ms for 8x8 pixels and 256 channels) and the
// slower ones with 16 (3.7 against 2.8 ms for 32x32 pixels).
bool can_turn(const ConvShape& s) {
  return s.dtype == DType::F32 && s.stride == 1 && s.groups == 1 && s.kernel_h > 1 &&
         s.kernel_h == s.kernel_w && s.pad < s.kernel_h;
}
bool backward_as_forward(const ConvShape& s) { return can_turn(s) && s.in >= 64 && s.out >= 64; }
bool forward_as_backward(const ConvShape& s) {
  return can_turn(s) && s.in == 16 && s.out == 16 && !s.bias;
}
ConvShape turned(const ConvShape& s) {
  return {s.batch,    s.out_height(), s.out_width(),          s.out, s.in,    s.kernel_h,
          s.kernel_w, s.stride,       s.kernel_h - 1 - s.pad, 1,     s.dtype, false};
}

}  // namespace

LayerPlan::LayerPlan(const ConvShape& s, Direction direction, int threads)
    : impl_(std::make_unique<Impl>()) {
  const ThreadScope scope(threads);
  impl_->threads = threads;
  const ConvTerms terms(s);
  const memory::desc weights{terms.extents, memory::data_type::f32,
                             s.groups > 1 ? memory::format_tag::goihw : memory::format_tag::oihw};
  const Impl::Layouts user{terms.x, weights, terms.bias, terms.y};
  const bool turn = direction == Direction::Forward        ? forward_as_backward(s)
                    : direction == Direction::BackwardData ? backward_as_forward(s)
                                                           : false;
  if (turn) {
    const ConvShape around = turned(s);
    const ConvTerms back(around);
    const memory::desc planes{back.extents, memory::data_type::f32,
                              Dims{1, s.in, s.kernel_w * s.out * s.in, s.out * s.in}};
    const Impl::Layouts layouts{back.x, planes, {}, back.y};
    impl_->turn(s);
    if (direction == Direction::BackwardData) {
      impl_->forward<dnnl::convolution_forward>(layouts, best_forward(around, back));
    } else {
      impl_->backward_data<dnnl::convolution_backward_data>(layouts, back.backward_data());
    }
  } else if (direction == Direction::Forward) {
    impl_->forward<dnnl::convolution_forward>(user, best_forward(s, terms));
  } else if (direction == Direction::BackwardData) {
    impl_->backward_data<dnnl::convolution_backward_data>(user, terms.backward_data());
  } else if (TapGradient::suits(s)) {
    impl_->taps.emplace(s, threads);
    impl_->scratch = impl_->taps->scratch_bytes();
    impl_->implementation = "taps";
  } else {
    impl_->backward_weights<dnnl::convolution_backward_weights>(user, terms.backward_weights());
  }
}

LayerPlan::LayerPlan(const LinearShape& s, Direction direction, int threads)
    : impl_(std::make_unique<Impl>()) {
  const ThreadScope scope(threads);
  impl_->threads = threads;
  const auto type = type_of(s.dtype), f32 = memory::data_type::f32;
  using Tag = memory::format_tag;
  const Impl::Layouts user{{{s.rows, s.in}, type, Tag::ab},
                           {{s.out, s.in}, f32, Tag::ab},
                           s.bias && direction != Direction::BackwardData
                               ? memory::desc{{s.out}, f32, Tag::a}
                               : memory::desc{},
                           {{s.rows, s.out}, type, Tag::ab}};
  const memory::desc weights{{s.out, s.in}, type, Tag::any};
  const memory::desc weight_grad{{s.out, s.in}, f32, Tag::any};
  const auto forward = describe<dnnl::inner_product_forward>(dnnl::prop_kind::forward_training,
                                                             user.x, weights, user.bias, user.y);
  if (direction == Direction::Forward) {
    impl_->forward<dnnl::inner_product_forward>(user, forward);
  } else if (direction == Direction::BackwardData) {
    using Primitive = dnnl::inner_product_backward_data;
    impl_->backward_data<Primitive>(user,
                                    describe_backward<Primitive>(forward, user.x, weights, user.y));
  } else {
    using Primitive = dnnl::inner_product_backward_weights;
    impl_->backward_weights<Primitive>(
        user, describe_backward<Primitive>(forward, user.x, weight_grad, user.bias, user.y));
  }
}

LayerPlan::~LayerPlan() = default;
LayerPlan::LayerPlan(LayerPlan&&) noexcept = default;
LayerPlan& LayerPlan::operator=(LayerPlan&&) noexcept = default;

std::size_t LayerPlan::scratch_bytes() const { return impl_->scratch; }
const char* LayerPlan::implementation() const { return impl_->implementation.c_str(); }

void LayerPlan::run(const LayerBuffers& buffers, std::byte* scratch) {
  Impl& impl = *impl_;
  const ThreadScope scope(impl.threads);
  if (impl.taps) {
    impl.taps->run(buffers.x, buffers.y, static_cast<float*>(buffers.weights), scratch);
    return;
  }
  void* data[] = {buffers.x, buffers.weights, buffers.bias, buffers.y};
  if (impl.turned) {
    auto* planes = reinterpret_cast<float*>(scratch + impl.turned->offset);
    turn_weights(impl.turned->rows, impl.turned->cols, impl.turned->taps,
                 static_cast<const float*>(buffers.weights), planes, impl.threads);
    data[1] = planes;
    std::swap(data[0], data[3]);
  }
  for (std::size_t i = 0; i < impl.operands.size(); ++i) {
    Operand& o = impl.operands[i];
    if (o.argument == 0) continue;
    o.user.set_data_handle(data[i]);
    if (!o.packed) continue;
    o.inner.set_data_handle(scratch + o.offset);
    if (!o.written) o.reorder.execute(impl.stream, o.user, o.inner);
  }
  impl.scratchpad.set_data_handle(scratch + impl.scratchpad_offset);
  impl.primitive.execute(impl.stream, impl.arguments);
  for (Operand& o : impl.operands) {
    if (o.packed && o.written) o.reorder.execute(impl.stream, o.inner, o.user);
  }
  impl.stream.wait();
}

bool processor_has_bf16() {
  const int isa = static_cast<int>(dnnl::get_effective_cpu_isa());
  const int bf16 = static_cast<int>(dnnl::cpu_isa::avx512_core_bf16);
  return (isa & bf16) == bf16;
}

const char* onednn_version() {
  static const std::string text = std::to_string(dnnl_version()->major) + "." +
                                  std::to_string(dnnl_version()->minor) + "." +
                                  std::to_string(dnnl_version()->patch);
  return text.c_str();
}

}  // namespace winnow::cpu
