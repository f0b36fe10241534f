// Inside of onednn_layer(): how a oneDNN primitive, its operands and its scratch memory are put
// together. For onednn*.cpp only.
#pragma once

#include <omp.h>

#include <algorithm>
#include <array>
#include <dnnl.hpp>
#include <optional>
#include <string>
#include <unordered_map>

#include "kernels/cpu/onednn.h"

namespace winnow::cpu {

using dnnl::memory;
using Dims = memory::dims;

const dnnl::engine& cpu_engine();

// oneDNN takes the calling thread's OpenMP setting, both when a primitive is made and when it runs. It shares its work out to
// that many threads and trusts that they come: of a team that OpenMP made smaller (OMP_DYNAMIC, OMP_THREAD_LIMIT,
// OMP_MAX_ACTIVE_LEVELS) parts would never be computed.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    omp_set_dynamic(0);
    if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
    omp_set_num_threads(std::min(threads, omp_get_thread_limit()));
  }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

inline dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// Version 3 dropped the operation descriptors of version 2. A backward primitive takes the forward
// one as a hint.
// `choose` may step to another of oneDNN's implementations, which in version 2 reads the descriptor once more.
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

inline memory::data_type type_of(DType type) {
  return type == DType::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// One operand in the caller's layout and in the one the primitive wants, with the reorder between them.
struct Operand {
  int argument = 0;
  bool written = false, packed = false;
  std::size_t offset = 0;  // of the packed copy, in scratch
  memory user, inner;
  dnnl::reorder reorder;
};

struct OneDnnLayer final : PlannedLayer {
  explicit OneDnnLayer(int layer_threads) : threads(layer_threads) {}
  std::size_t scratch_bytes() const override { return scratch; }
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override { return chosen_name; }

  int threads = 1;
  dnnl::stream stream{cpu_engine()};
  dnnl::primitive primitive;
  std::array<Operand, 4> operands;  // x, weights, bias, y
  std::unordered_map<int, memory> arguments;
  memory scratchpad;
  std::size_t scratchpad_offset = 0, scratch = 0;
  std::string chosen_name;
  // Backward data run as a forward convolution: weights are turned first, into scratch, and x and y change places.
  struct Turn {
    std::int64_t rows = 0, cols = 0, taps = 0;  // of the weights {out, in, kernel}
    std::size_t offset = 0;
  };
  std::optional<Turn> turned;

  void turn(const ConvShape& s) {
    turned = {s.out, s.in, s.kernel_h * s.kernel_w, scratch};
    scratch += aligned(sizeof(float) * static_cast<std::size_t>(s.out * s.in * s.kernel_h * s.kernel_w));
  }
  void operand(std::size_t at, int argument, bool written, const memory::desc& user, const memory::desc& inner) {
    Operand& o = operands[at];
    o.argument = argument;
    o.written = written;
    o.packed = user != inner;
    o.user = memory(user, cpu_engine(), nullptr);
    o.inner = o.packed ? memory(inner, cpu_engine(), nullptr) : o.user;
    if (o.packed) {
      const memory &from = written ? o.inner : o.user, &to = written ? o.user : o.inner;
      o.reorder =
          dnnl::reorder(dnnl::reorder::primitive_desc(cpu_engine(), from.get_desc(), cpu_engine(), to.get_desc()));
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
    chosen_name = description.impl_info_str();
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

}  // namespace winnow::cpu
