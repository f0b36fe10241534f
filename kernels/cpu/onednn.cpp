#include "kernels/cpu/onednn.h"

#include <utility>

#include "kernels/cpu/layout.h"
#include "kernels/cpu/onednn_impl.h"
#include "kernels/processor.h"

namespace winnow::cpu {

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

void OneDnnLayer::run(const LayerBuffers& buffers, const Exec& exec) {
  std::byte* base = exec.scratch;
  const ThreadScope scope(threads);
  void* data[] = {buffers.x, buffers.weights, buffers.bias, buffers.y};
  if (turned) {
    auto* planes = reinterpret_cast<float*>(base + turned->offset);
    turn_weights(turned->rows, turned->cols, turned->taps, static_cast<const float*>(buffers.weights), planes, threads);
    data[1] = planes;
    std::swap(data[0], data[3]);
  }
  for (std::size_t i = 0; i < operands.size(); ++i) {
    Operand& o = operands[i];
    if (o.argument == 0) continue;
    o.user.set_data_handle(data[i]);
    if (!o.packed) continue;
    o.inner.set_data_handle(base + o.offset);
    if (!o.written) o.reorder.execute(stream, o.user, o.inner);
  }
  scratchpad.set_data_handle(base + scratchpad_offset);
  primitive.execute(stream, arguments);
  for (Operand& o : operands) {
    if (o.packed && o.written) o.reorder.execute(stream, o.inner, o.user);
  }
  stream.wait();
}

}  // namespace winnow::cpu

namespace winnow {

namespace {
bool has(dnnl::cpu_isa wanted) {
  const int bits = static_cast<int>(wanted);
  return (static_cast<int>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}
}  // namespace

bool processor_has_bf16() { return has(dnnl::cpu_isa::avx512_core_bf16); }
bool processor_computes_bf16() { return has(dnnl::cpu_isa::avx512_core); }
bool processor_has_amx() { return has(dnnl::cpu_isa::avx512_core_amx); }

const char* onednn_version() {
  static const std::string text = std::to_string(dnnl_version()->major) + "." + std::to_string(dnnl_version()->minor) +
                                  "." + std::to_string(dnnl_version()->patch);
  return text.c_str();
}

}  // namespace winnow
