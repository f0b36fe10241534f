#include "kernels/cpu/onednn.h"

#include <omp.h>

#include <array>
#include <dnnl.hpp>
#include <string>
#include <unordered_map>
#include <vector>

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
template <class Primitive, class... Args>
typename Primitive::primitive_desc describe(const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return {cpu_engine(), args..., attributes()};
#else
  return {typename Primitive::desc(args...), attributes(), cpu_engine()};
#endif
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

LayerPlan::LayerPlan(const ConvShape& s, Direction direction, int threads)
    : impl_(std::make_unique<Impl>()) {
  const ThreadScope scope(threads);
  impl_->threads = threads;
  const auto type = type_of(s.dtype), f32 = memory::data_type::f32;
  using Tag = memory::format_tag;
  const Dims x{s.batch, s.in, s.height, s.width};
  const Dims y{s.batch, s.out, s.out_height(), s.out_width()};
  const bool grouped = s.groups > 1;
  const Dims w = grouped ? Dims{s.groups, s.out / s.groups, s.in / s.groups, s.kernel_h, s.kernel_w}
                         : Dims{s.out, s.in, s.kernel_h, s.kernel_w};
  const Impl::Layouts user{{x, type, Tag::nhwc},
                           {w, f32, grouped ? Tag::goihw : Tag::oihw},
                           s.bias && direction != Direction::BackwardData
                               ? memory::desc{{s.out}, f32, Tag::a}
                               : memory::desc{},
                           {y, type, Tag::nhwc}};
  const memory::desc weights{w, type, Tag::any}, weight_grad{w, f32, Tag::any};
  const Dims stride{s.stride, s.stride}, dilate{0, 0}, pad{s.pad, s.pad};
  // At the far edge the padding is what the last window needs, which may be less than `pad`.
  const Dims end{(s.out_height() - 1) * s.stride + s.kernel_h - s.height - s.pad,
                 (s.out_width() - 1) * s.stride + s.kernel_w - s.width - s.pad};
  const auto direct = dnnl::algorithm::convolution_direct;
  const auto forward =
      describe<dnnl::convolution_forward>(dnnl::prop_kind::forward_training, direct, user.x,
                                          weights, user.bias, user.y, stride, dilate, pad, end);
  if (direction == Direction::Forward) {
    impl_->forward<dnnl::convolution_forward>(user, forward);
  } else if (direction == Direction::BackwardData) {
    using Primitive = dnnl::convolution_backward_data;
    impl_->backward_data<Primitive>(
        user, describe_backward<Primitive>(forward, direct, user.x, weights, user.y, stride, dilate,
                                           pad, end));
  } else {
    using Primitive = dnnl::convolution_backward_weights;
    impl_->backward_weights<Primitive>(
        user, describe_backward<Primitive>(forward, direct, user.x, weight_grad, user.bias, user.y,
                                           stride, dilate, pad, end));
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
  void* const data[] = {buffers.x, buffers.weights, buffers.bias, buffers.y};
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
  static const std::string text = std::to_string(dnnl_version()->major) + "." + std::to_string(dnnl_version()->minor) +
                                  "." + std::to_string(dnnl_version()->patch);
  return text.c_str();
}

}  // namespace winnow::cpu
